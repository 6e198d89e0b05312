"""Reading all pages of a list: the first one, then all others at once; or one by one, in reverse.

https://docs.hetzner.cloud/reference/cloud#pagination
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from math import ceil
from typing import Any, TypeVar

from hetzner_cloud.errors import InvalidResponseError
from hetzner_cloud.pages import Page

_MAX_PAGES = 20_000

T = TypeVar("T")
P = TypeVar("P", bound=Page)
FetchPage = Callable[[int], Coroutine[Any, Any, P]]


async def fetch_pages(fetch: FetchPage[P], *, max_pages: int | None = None) -> list[P]:
    """Fetch page 1, then all further ones at once, then those that were added during the read.

    Args:
        fetch: Fetches a page by its number, from 1 on.
        max_pages: Fetch no more pages than that.

    Raises:
        InvalidResponseError: The pages do not come to an end.
        HetznerCloudError: What a fetch raises; the others are cancelled then.
    """
    max_pages = max_pages or _MAX_PAGES
    pages = await _fetch_announced(fetch, max_pages)
    seen = {found for page in pages for found in page.ids}
    while len(pages) < max_pages and (number := _next_page(pages)):
        page = await fetch(number)
        if seen.issuperset(page.ids) and not page.without_id and not _grew(pages[0], page):
            _require_last(page, number)
            break
        pages.append(page)
        seen.update(page.ids)
    return pages


async def fetch_in_reverse(fetch: FetchPage[P]) -> list[P]:
    """Fetch the pages of a list sorted by ascending id one by one, from the last to the first.

    New entries are added at the end of such a list, so an entry only ever moves towards the first page. One
    that was not seen yet is on a page that is still to be read, and each step goes one page only: whatever is
    deleted during the read, and how much, an entry that is there all the time is seen.

    Raises:
        InvalidResponseError: The first page announces too many.
        HetznerCloudError: What a fetch raises.
    """
    first = await fetch(1)
    if not first.pagination.next_page:
        return [first]
    if first.pagination.last_page is None:  # where the end is, is unknown
        return await fetch_pages(fetch)
    return [await fetch(number) for number in range(_last_page(first), 0, -1)]


async def gather_or_cancel(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all calls; the first error cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _fetch_announced(fetch: FetchPage[P], max_pages: int) -> list[P]:
    """Fetch page 1 and those up to the last one that it announces."""
    first = await fetch(1)
    if not first.pagination.next_page:
        return [first]
    last = min(max_pages, _last_page(first))
    return [first, *await gather_or_cancel(fetch(number) for number in range(2, last + 1))]


def _next_page(pages: Sequence[Page]) -> int | None:
    """Return the page that follows: the list grew, or the first page announced no last one."""
    number = pages[-1].pagination.next_page
    if number and not len(pages) < number <= _MAX_PAGES:
        raise _endless(f"page {len(pages)} names page {number} as the next one")
    return number


def _require_last(page: Page, number: int) -> None:
    if page.pagination.next_page:
        raise _endless(f"page {number} has nothing new and is not the last one")


def _grew(earlier: Page, later: Page) -> bool:
    """Return whether new entries explain that a later page has nothing new: they moved the others onto it."""
    return (later.pagination.total_entries or 0) > (earlier.pagination.total_entries or 0) > 0


def _last_page(first: Page) -> int:
    """Return the last page that the first one announces, unless there cannot be that many."""
    last, total = first.pagination.last_page or 1, first.pagination.total_entries
    if total is not None:
        last = min(last, ceil(total / max(1, first.size)))
    if last > _MAX_PAGES or not first.size:
        raise _endless(f"its first page, of {first.size}, states that {last} is the last one")
    return last


def _endless(reason: str) -> InvalidResponseError:
    return InvalidResponseError(f"Pagination did not terminate: {reason}", "invalid_response")
