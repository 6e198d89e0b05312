"""Lists that move while they are read, in every way that hypothesis finds."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.consistent_read import fetch_images
from hetzner_cloud.pages import ImagesPage
from hetzner_cloud.pagination import fetch_in_reverse, fetch_pages
from sandbox import RequestRecord, Sandbox, serve
from tests.support.api_json import image_json
from tests.support.figures import example_of
from tests.support.fixtures import SaveProject
from tests.support.flow_runs import run
from tests.support.protection_runs import outcomes_of

_PER_PAGE = 3

Change = str | int  # "create", or the place of the one to delete, modulo how many there are
CHANGES = st.lists(st.lists(st.just("create") | st.integers(0, 30), max_size=3), max_size=20)
DELAYS = st.lists(st.integers(0, 6), max_size=20)
_DELETE_THE_FIRST_OF_EACH_PAGE_READ: list[list[Change]] = [[], [0], [], [], [0], [], [], [0], []]


class MovingList:
    """Snapshots in pages; before each answer come the next changes, and answers overtake each other."""

    def __init__(self, count: int, changes: Sequence[Sequence[Change]], delays: Sequence[int]) -> None:
        self.ids = list(range(1, count + 1))
        self.throughout = set(self.ids)
        self._newest = count
        self._changes, self._delays = list(changes), list(delays)

    async def fetch(self, number: int, *, descending: bool) -> ImagesPage:
        for _ in range(self._delays.pop(0) if self._delays else 0):
            await asyncio.sleep(0)
        for change in self._changes.pop(0) if self._changes else ():
            self._make(change)
        ids = self.ids[::-1] if descending else self.ids
        last = max(1, -(-len(ids) // _PER_PAGE))
        place = {
            "next_page": number + 1 if number < last else None,
            "last_page": last,
            "total_entries": len(ids),
        }
        images = [image_json(image_id) for image_id in ids[(number - 1) * _PER_PAGE : number * _PER_PAGE]]
        return ImagesPage.model_validate({"images": images, "meta": {"pagination": place}})

    def _make(self, change: Change) -> None:
        if isinstance(change, str):
            self._newest += 1
            self.ids.append(self._newest)
        elif self.ids:
            gone = self.ids.pop(change % len(self.ids))
            self.throughout.discard(gone)


@given(count=st.integers(0, 14), changes=CHANGES, delays=DELAYS)
@example(count=14, changes=_DELETE_THE_FIRST_OF_EACH_PAGE_READ, delays=[])
@example(count=9, changes=[[], [8], [], [], [7], [], [], [6], []], delays=[])
def test_no_snapshot_that_is_there_all_the_time_is_missed(
    count: int, changes: list[list[Change]], delays: list[int]
) -> None:
    example_of("a list that moves while it is read: none that is there all the time is missed")
    moving = MovingList(count, changes, delays)

    async def read() -> set[int]:
        images = await fetch_images(
            partial(fetch_pages, partial(moving.fetch, descending=True)),
            partial(fetch_in_reverse, partial(moving.fetch, descending=False)),
        )
        return {image.id for image in images}

    assert asyncio.run(read()) >= moving.throughout


@given(count=st.integers(0, 14), changes=CHANGES)
def test_reading_backwards_misses_none_however_the_list_moves(
    count: int, changes: list[list[Change]]
) -> None:
    example_of("the same, read backwards at once")
    moving = MovingList(count, changes, [])
    pages = asyncio.run(fetch_in_reverse(partial(moving.fetch, descending=False)))
    assert {image.id for page in pages for image in page.images} >= moving.throughout


class MovingSandbox(Sandbox):
    """One in which snapshots come and go before certain requests."""

    def __init__(self, changes: dict[int, Change], **sandbox: Any) -> None:
        super().__init__(**sandbox)
        self._changes = changes
        self.came_up: dict[int, int] = {}

    def keep(self, record: RequestRecord) -> None:
        super().keep(record)
        change = self._changes.get(len(self.requests))
        if change == "create":
            self.came_up[self.add_snapshot()] = len(self.requests)
        elif isinstance(change, int) and self.images:
            self.delete_image(sorted(self.images)[change % len(self.images)])


@pytest.mark.e2e
@settings(
    max_examples=max(5, settings().max_examples // 50),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.dictionaries(st.integers(1, 70), st.just("create") | st.integers(0, 60), max_size=12))
async def test_what_is_created_during_a_run_is_protected_or_reported(
    save_project: SaveProject, engine: Callable[..., Any], changes: dict[int, Change]
) -> None:
    example_of("a whole run while snapshots come and go: protected, deleted or reported")
    with serve(MovingSandbox(changes, token="moving-0123456789", snapshots=55, protected=5)) as sandbox:
        save_project("moving", sandbox)
        there_before = set(sandbox.images)
        done = await run(protect_snapshots, projects=["moving"])
        outcomes = outcomes_of(done)
        looks = [number for number, one in enumerate(sandbox.requests, 1) if one.operation == "list_images"]
        seen = {image_id for image_id, came in getattr(sandbox, "came_up", {}).items() if came <= looks[-2]}
        for image_id in set(sandbox.images) & (there_before | seen):
            assert image_id in outcomes
        for image_id, outcome in outcomes.items():
            if outcome in {"protected", "already_protected"} and image_id in sandbox.images:
                assert sandbox.images[image_id]["protection"]["delete"]
