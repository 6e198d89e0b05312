"""Lists come in pages: the first one, then all others at once, and again if the list moved meanwhile.

https://docs.hetzner.cloud/reference/cloud#pagination
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import InvalidAnswerError
from hetzner_cloud.models import Action, Image, Meta, Pagination

_MAX_PAGES = 20_000

T = TypeVar("T")


class Page(BaseModel):
    """One page; an answer without `meta` is the only one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    meta: Meta | None = None

    @property
    def place(self) -> Pagination:
        """Where it stands in its list."""
        return self.meta.pagination if self.meta else Pagination()


class ImagesPage(Page):
    """One page of images."""

    images: tuple[Image, ...]


class ActionsPage(Page):
    """One page of actions."""

    actions: tuple[Action, ...]


P = TypeVar("P", bound=Page)


async def read_pages(fetch: Callable[[int], Coroutine[Any, Any, P]]) -> list[P]:
    """Fetch page 1, then all further ones at once.

    Raises:
        InvalidAnswerError: The pages do not come to an end.
        HetznerCloudError: What a fetch raises; the others are cancelled then.
    """
    pages = [await fetch(1)]
    if pages[0].place.next_page:
        last = _bounded(pages[0].place.last_page or 1)
        pages += await all_at_once(fetch(number) for number in range(2, last + 1))
    while following := pages[-1].place.next_page:  # the list grew, or the first page told no last one
        if following <= len(pages):
            raise InvalidAnswerError(
                f"Page {len(pages)} of a list names page {following} as the next one", "invalid_answer"
            )
        pages.append(await fetch(_bounded(following)))
    return pages


def moved(pages: Iterable[ImagesPage]) -> bool:
    """Tell whether a list sorted by descending id may have hidden an image while its pages were read.

    An image is out of sight only if those before it moved up between two pages: then the list has become
    shorter, or has an image twice because it had become longer before.
    """
    pages = list(pages)
    totals = [page.place.total_entries for page in pages if page.place.total_entries is not None]
    ids = [image.id for page in pages for image in page.images]
    shrunk = any(later < earlier for earlier, later in pairwise(totals))
    return shrunk or len(set(ids)) < len(ids)


async def read_steadily(
    listing: Callable[[], Awaitable[list[ImagesPage]]], *, readings: int = 3
) -> list[Image]:
    """Read a list of images until it did not move meanwhile, `readings` times at most.

    Returns:
        All images that were seen, each once as last seen, by ascending id.
    """
    seen: dict[int, Image] = {}
    for _ in range(readings):
        pages = await listing()
        seen |= {image.id: image for page in pages for image in page.images}
        if not moved(pages):
            break
    return [seen[image_id] for image_id in sorted(seen)]


async def all_at_once(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all calls; the first fault cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]


def _bounded(page: int) -> int:
    if page > _MAX_PAGES:
        raise InvalidAnswerError(f"A list says it has {page} pages, more than {_MAX_PAGES}", "invalid_answer")
    return page
