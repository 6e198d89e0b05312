"""Lists in pages: whole, no more requests than pages, and read again when the list moved."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from hetzner_cloud.errors import InvalidAnswerError, NotFoundError, ServerError
from hetzner_cloud.paging import ImagesPage, all_at_once, moved, read_pages, read_steadily


def page(
    *ids: int, following: int | None = None, last: int | None = None, total: int | None = None
) -> ImagesPage:
    images = [{"id": image_id, "type": "snapshot", "protection": {"delete": False}} for image_id in ids]
    place = {"next_page": following, "last_page": last, "total_entries": total}
    return ImagesPage.model_validate({"images": images, "meta": {"pagination": place}})


class Pages:
    """Answers with the pages in their order, the last one for every later number; notes what was fetched."""

    def __init__(self, *pages: ImagesPage) -> None:
        self.pages = pages
        self.fetched: list[int] = []

    async def fetch(self, number: int) -> ImagesPage:
        self.fetched.append(number)
        return self.pages[min(number, len(self.pages)) - 1]


def ids_of(pages: Sequence[ImagesPage]) -> list[int]:
    return [image.id for each in pages for image in each.images]


@pytest.mark.parametrize(
    "answer",
    [
        {"images": []},
        {"images": [], "meta": None},
        {"images": [], "meta": {}},
        {"images": [], "meta": {"pagination": {}}},
        {"images": [], "meta": {"pagination": {"next_page": None}}},
        {"images": [], "meta": {"pagination": {"page": 1, "last_page": 1, "next_page": None}}, "more": 1},
    ],
    ids=str,
)
async def test_a_list_is_one_page_when_its_answer_is(answer: dict[str, Any]) -> None:
    pages = Pages(ImagesPage.model_validate(answer))
    assert await read_pages(pages.fetch) == [pages.pages[0]]
    assert pages.fetched == [1]


async def test_all_pages_come_in_order_each_fetched_once() -> None:
    pages = Pages(page(6, 5, following=2, last=3), page(4, 3, following=3, last=3), page(2, 1, last=3))
    assert ids_of(await read_pages(pages.fetch)) == [6, 5, 4, 3, 2, 1]
    assert sorted(pages.fetched) == [1, 2, 3]


async def test_the_pages_after_the_first_are_fetched_at_once() -> None:
    all_under_way = asyncio.Barrier(4)

    async def fetch(number: int) -> ImagesPage:
        if number == 1:
            return page(1, following=2, last=5)
        async with asyncio.timeout(5):
            await all_under_way.wait()
        return page(number, following=number + 1 if number < 5 else None, last=5)

    assert ids_of(await read_pages(fetch)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("last", [None, 0, 1], ids=["no last page", "last page 0", "last page 1"])
async def test_the_next_page_is_followed_when_there_is(last: int | None) -> None:
    pages = Pages(page(3, following=2, last=last), page(2, following=3, last=last), page(1, last=last))
    assert ids_of(await read_pages(pages.fetch)) == [3, 2, 1]
    assert pages.fetched == [1, 2, 3]


async def test_a_page_that_was_added_meanwhile_is_fetched_too() -> None:
    pages = Pages(page(3, following=2, last=2), page(2, following=3, last=3), page(1, last=3))
    assert ids_of(await read_pages(pages.fetch)) == [3, 2, 1]


@pytest.mark.parametrize("following", [1, 2, -1])
@pytest.mark.parametrize("last", [None, 2, -5])
async def test_pages_that_go_in_circles_are_an_invalid_answer(following: int, last: int | None) -> None:
    pages = Pages(page(2, following=2, last=last), page(1, following=following, last=last))
    with pytest.raises(InvalidAnswerError, match="names page") as caught:
        await read_pages(pages.fetch)
    assert caught.value.code == "invalid_answer"
    assert len(pages.fetched) == 2


@pytest.mark.parametrize(("following", "last"), [(2, 20_001), (2, 2**53), (10**9, None)])
async def test_an_absurd_number_of_pages_is_an_invalid_answer_after_one_request(
    following: int, last: int | None
) -> None:
    pages = Pages(page(1, following=following, last=last))
    with pytest.raises(InvalidAnswerError, match="more than 20000"):
        await read_pages(pages.fetch)
    assert pages.fetched == [1]


async def test_the_fault_of_one_page_is_raised_bare_and_the_others_are_cancelled() -> None:
    cancelled: list[int] = []
    under_way = asyncio.Barrier(3)

    async def fetch(number: int) -> ImagesPage:
        if number == 1:
            return page(1, following=2, last=4)
        await under_way.wait()
        if number == 3:
            raise ServerError("bad gateway", "bad_gateway", 502)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        raise AssertionError

    with pytest.raises(ServerError, match="bad gateway"):
        await read_pages(fetch)
    assert sorted(cancelled) == [2, 4]


async def test_one_fault_is_raised_when_there_are_several() -> None:
    async def call(number: int) -> int:
        raise NotFoundError(f"call {number}")

    with pytest.raises(NotFoundError, match="call 1"):
        await all_at_once(call(number) for number in (1, 2, 3))


async def test_nothing_is_left_running_when_the_caller_is_cancelled() -> None:
    under_way, cancelled = asyncio.Event(), asyncio.Event()

    async def call() -> None:
        under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    calls = asyncio.create_task(all_at_once([call()]))
    await under_way.wait()
    calls.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls
    assert cancelled.is_set()


@pytest.mark.parametrize(
    ("pages", "has_moved"),
    [
        ([], False),
        ([page()], False),
        ([page(4, 3), page(2, 1)], False),
        ([page(4, 3, total=4), page(2, 1, total=4)], False),
        ([page(4, 3, total=4), page(1, total=3)], True),
        ([page(4, 3, total=4), page(2, total=4), page(1, total=3)], True),
        ([page(4, 3, total=4), page(2, total=3), page(1, total=4)], True),
        ([page(4, 3, total=4), page(1), page(total=3)], True),
        ([page(4, 3, total=4), page(3, 2, total=5), page(1, total=5)], True),
        ([page(4, 3, total=4), page(2, 1, total=5)], False),
    ],
    ids=[
        "no page",
        "empty",
        "no totals",
        "steady",
        "shorter",
        "shorter at the end",
        "shorter between",
        "shorter, one page tells no total",
        "an image twice",
        "longer only",
    ],
)
def test_a_list_moved_when_it_was(pages: list[ImagesPage], has_moved: object) -> None:
    assert moved(pages) is has_moved


class Readings:
    """A listing that answers with each reading in turn, the last one for ever."""

    def __init__(self, *readings: list[ImagesPage]) -> None:
        self.readings = list(readings)
        self.made = 0

    async def read(self) -> list[ImagesPage]:
        self.made += 1
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]


async def test_a_list_is_read_once_when_it_did_not_move() -> None:
    readings = Readings([page(4, 3, total=4), page(2, 1, total=4)])
    assert [image.id for image in await read_steadily(readings.read)] == [1, 2, 3, 4]
    assert readings.made == 1


@pytest.mark.parametrize(
    "first",
    [[page(4, 3, total=4), page(1, total=3)], [page(4, 3, total=4), page(3, 1, total=4)]],
    ids=["became shorter", "has an image twice"],
)
async def test_a_list_is_read_again_and_all_that_was_seen_is_returned_when_it(
    first: list[ImagesPage],
) -> None:
    readings = Readings(first, [page(3, 2, total=3), page(1, total=3)])
    assert [image.id for image in await read_steadily(readings.read)] == [1, 2, 3, 4]
    assert readings.made == 2


async def test_an_image_is_returned_as_last_seen() -> None:
    protected = page(2, 1).model_copy(
        update={
            "images": tuple(image.model_copy(update={"description": "later"}) for image in page(2, 1).images)
        }
    )
    images = await read_steadily(Readings([page(2, 2, 1)], [protected]).read)
    assert [(image.id, image.description) for image in images] == [(1, "later"), (2, "later")]


async def test_a_list_that_never_rests_is_read_three_times() -> None:
    readings = Readings([page(2, 2, 1)])
    assert [image.id for image in await read_steadily(readings.read)] == [1, 2]
    assert readings.made == 3
