"""Reading a list that may change while its pages are read."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from hetzner_cloud.errors import InvalidResponseError
from hetzner_cloud.models import Image
from hetzner_cloud.pages import ImagesPage, Page, ServersPage
from hetzner_cloud.servers import Server
from hetzner_cloud.unreadable_entries import UnreadableEntry, UnreadableImagesError, UnreadableServersError

P = TypeVar("P", ImagesPage, ServersPage)
E = TypeVar("E", Image, Server)

ReadPages = Callable[[], Awaitable[Sequence[P]]]


async def fetch_images(at_once: ReadPages[ImagesPage], in_reverse: ReadPages[ImagesPage]) -> list[Image]:
    """Read a list of images, again if it changed during the read, and at last so that it may change.

    Args:
        at_once: Reads its pages at once, sorted by descending id.
        in_reverse: Reads them as `fetch_in_reverse` does.

    Returns:
        The images that the last reading saw, each once as last seen, by ascending id. One that only an
        earlier reading saw may have been deleted or relabelled since.

    Raises:
        UnreadableImagesError: The last reading saw images that could not be read; it has all others.
    """
    reading = await _read(at_once, in_reverse)
    images = reading.readable(Image)
    if unreadable := reading.unreadable:
        raise UnreadableImagesError(images, unreadable)
    return images


async def fetch_servers(at_once: ReadPages[ServersPage], in_reverse: ReadPages[ServersPage]) -> list[Server]:
    """Read a list of servers, as `fetch_images` does one of images.

    One that is left out may use an image: a list that has fewer servers than it says is none.

    Raises:
        InvalidResponseError: The last reading saw fewer servers than its pages say there are.
        UnreadableServersError: It saw servers that could not be read; it has all others.
    """
    reading = await _read(at_once, in_reverse)
    if reading.count < reading.total:
        raise InvalidResponseError(
            f"The list of servers is incomplete: {reading.count} of {reading.total}", "invalid_response"
        )
    servers = reading.readable(Server)
    if unreadable := reading.unreadable:
        raise UnreadableServersError(servers, unreadable)
    return servers


async def _read(at_once: ReadPages[P], in_reverse: ReadPages[P]) -> "_Reading[P]":
    first = _Reading(await at_once())
    if first.is_complete:
        return first
    second = _Reading(await at_once())
    if second.is_complete or second.confirms(first):
        return second
    return _Reading(await in_reverse())


@dataclass(frozen=True)
class _Reading(Generic[P]):
    """The pages of a list, read once."""

    pages: Sequence[P]

    def readable(self, kind: type[E]) -> list[E]:
        return [entry for entry in self.entries.values() if isinstance(entry, kind)]

    @property
    def unreadable(self) -> list[UnreadableEntry]:
        """Those with an id, then those without."""
        found = [entry for entry in self.entries.values() if isinstance(entry, UnreadableEntry)]
        for page in self.pages:
            found += page.without_id
        return found

    @property
    def count(self) -> int:
        """How many entries were seen, each once."""
        return len(self.entries) + sum(len(page.without_id) for page in self.pages)

    @property
    def total(self) -> int:
        """How many there were at least, while the pages were read; 0 if they do not say."""
        return min((page.pagination.total_entries or 0 for page in self.pages), default=0)

    @property
    def entries(self) -> dict[int, Image | Server | UnreadableEntry]:
        """By ascending id, each as last seen."""
        found: dict[int, Image | Server | UnreadableEntry] = {}
        for page in self.pages:
            found |= page.by_id
        return dict(sorted(found.items()))

    @property
    def is_complete(self) -> bool:
        """Whether no entry can have been missed; of several pages without totals that is unknown."""
        return not changed_while_reading(self.pages) and reports_totals(self.pages)

    def confirms(self, earlier: "_Reading[P]") -> bool:
        """Return whether it saw the same entries, none of them moving."""
        return [*self.entries] == [*earlier.entries] and not changed_while_reading(self.pages)


def changed_while_reading(pages: Iterable[Page]) -> bool:
    """Return whether a list sorted by descending id may have hidden an entry while its pages were read.

    An entry is missed only if those before it moved up between two pages: then the list has become shorter,
    or has an entry twice because it had become longer before.
    """
    pages = list(pages)
    totals = [total for page in pages if (total := page.pagination.total_entries) is not None]
    ids = [found for page in pages for found in page.ids]
    return len(set(ids)) < len(ids) or any(later < earlier for earlier, later in pairwise(totals))


def reports_totals(pages: Sequence[Page]) -> bool:
    """Return whether a change would be seen: several pages without totals can hide it."""
    return len(pages) < 2 or all(page.pagination.total_entries is not None for page in pages)
