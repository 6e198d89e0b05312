"""Lists come in pages: the first one, then all others at once, and again if the list moved meanwhile.

https://docs.hetzner.cloud/reference/cloud#pagination
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from itertools import pairwise
from math import ceil
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import InvalidResponseError
from hetzner_cloud.models import Action, Image, Meta, Pagination

_MAX_PAGES = 20_000

T = TypeVar("T")


class Page(BaseModel):
    """One page; an answer without `meta` is the only one, one whose `meta` cannot be read is none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    meta: Meta | None = None

    @property
    def place(self) -> Pagination:
        """Where it stands in its list."""
        return self.meta.pagination if self.meta else Pagination()

    @property
    def ids(self) -> list[int]:
        """What is on it."""
        raise NotImplementedError


class ImagesPage(Page):
    """One page of images."""

    images: tuple[Image, ...]

    @property
    def ids(self) -> list[int]:
        """The images' ids."""
        return [image.id for image in self.images]


class ActionsPage(Page):
    """One page of actions."""

    actions: tuple[Action, ...]

    @property
    def ids(self) -> list[int]:
        """The actions' ids."""
        return [action.id for action in self.actions]


P = TypeVar("P", bound=Page)


async def fetch_pages(fetch: Callable[[int], Coroutine[Any, Any, P]], *, most: int = _MAX_PAGES) -> list[P]:
    """Fetch page 1, then all further ones at once.

    Args:
        fetch: Fetches the page with a number, from 1 on.
        most: Fetch no more pages than that.

    Raises:
        InvalidResponseError: The pages do not come to an end.
        HetznerCloudError: What a fetch raises; the others are cancelled then.
    """
    pages = [await fetch(1)]
    if pages[0].place.next_page:
        last = min(most, _last_page(pages[0]))
        pages += await gather_or_cancel(fetch(number) for number in range(2, last + 1))
    seen = {found for page in pages for found in page.ids}
    while len(pages) < most and (
        following := pages[-1].place.next_page
    ):  # the list grew, or the first page told no last one
        if following <= len(pages) or following > _MAX_PAGES:
            raise _endless(f"page {len(pages)} names page {following} as the next one")
        page = await fetch(following)
        if seen.issuperset(page.ids) and not _grew(pages[0], page):
            if page.place.next_page:
                raise _endless(f"page {following} has nothing new and is not the last one")
            break
        pages.append(page)
        seen.update(page.ids)
    return pages


async def fetch_in_reverse(fetch: Callable[[int], Coroutine[Any, Any, P]]) -> list[P]:
    """Fetch the pages of a list sorted by ascending id one by one, from the last to the first.

    What is created comes at the end of such a list, so an entry only ever moves towards the first page. While
    it has not been seen it is on a page that is still to be read, and each step goes one page only: whatever
    is deleted meanwhile, and how much, an entry that is there all the time is seen.

    Raises:
        InvalidResponseError: The first page says that there are absurdly many.
        HetznerCloudError: What a fetch raises.
    """
    first = await fetch(1)
    if not first.place.next_page:
        return [first]
    if first.place.last_page is None:  # nobody says where the end is
        return await fetch_pages(fetch)
    return [await fetch(number) for number in range(_last_page(first), 0, -1)]


async def fetch_consistently(
    at_once: Callable[[], Awaitable[list[ImagesPage]]], backwards: Callable[[], Awaitable[list[ImagesPage]]]
) -> list[Image]:
    """Read a list of images until it did not move meanwhile; the third time so that it may move.

    Args:
        at_once: Reads its pages at once, sorted by descending id.
        backwards: Reads them as `fetch_in_reverse` does.

    Returns:
        The images that the last reading saw, each once as last seen, by ascending id. What only an earlier
        one saw may have been deleted or relabelled since.
    """
    now: dict[int, Image] = {}
    for read in (at_once, at_once, backwards):
        before, pages = set(now), await read()
        now = {image.id: image for page in pages for image in page.images}
        if not changed_while_reading(pages) and (tells_totals(pages) or before == now.keys()):
            break
    return [now[image_id] for image_id in sorted(now)]


def changed_while_reading(pages: Iterable[ImagesPage]) -> bool:
    """Tell whether a list sorted by descending id may have hidden an image while its pages were read.

    An image is out of sight only if those before it moved up between two pages: then the list has become
    shorter, or has an image twice because it had become longer before.
    """
    pages = list(pages)
    totals = [page.place.total_entries for page in pages if page.place.total_entries is not None]
    ids = [found for page in pages for found in page.ids]
    return len(set(ids)) < len(ids) or any(later < earlier for earlier, later in pairwise(totals))


def tells_totals(pages: Sequence[ImagesPage]) -> bool:
    """Tell whether a move would be seen: of several pages without totals nobody knows."""
    return len(pages) < 2 or all(page.place.total_entries is not None for page in pages)


async def gather_or_cancel(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all calls; the first fault cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]


def _grew(earlier: Page, later: Page) -> bool:
    """Tell whether new entries explain that a later page has nothing new: they moved the others onto it."""
    return (later.place.total_entries or 0) > (earlier.place.total_entries or 0) > 0


def _last_page(first: Page) -> int:
    """What the first page says is the last one, unless that many cannot be."""
    last, total = first.place.last_page or 1, first.place.total_entries
    if total is not None:
        last = min(last, ceil(total / max(1, len(first.ids))))
    if last > _MAX_PAGES or not first.ids:
        raise _endless(f"its first page, of {len(first.ids)}, says that {last} is the last one")
    return last


def _endless(what: str) -> InvalidResponseError:
    return InvalidResponseError(f"The pages of a list do not come to an end: {what}", "invalid_response")
