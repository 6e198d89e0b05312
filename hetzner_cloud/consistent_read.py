"""Reading a list that may change while its pages are read."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hetzner_cloud.models import Image
from hetzner_cloud.pages import ImagesPage
from hetzner_cloud.unreadable_entries import UnreadableEntry, UnreadableImagesError

ReadPages = Callable[[], Awaitable[Sequence[ImagesPage]]]


async def fetch_consistently(at_once: ReadPages, in_reverse: ReadPages) -> list[Image]:
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
    first = _Reading(await at_once())
    if first.is_complete:
        return first.images_or_raise()
    second = _Reading(await at_once())
    if second.is_complete or second.confirms(first):
        return second.images_or_raise()
    return _Reading(await in_reverse()).images_or_raise()


@dataclass(frozen=True)
class _Reading:
    """The pages of a list, read once."""

    pages: Sequence[ImagesPage]

    def images_or_raise(self) -> list[Image]:
        entries = self.entries
        images = [entry for entry in entries.values() if isinstance(entry, Image)]
        unreadable = [entry for entry in entries.values() if isinstance(entry, UnreadableEntry)]
        unreadable += [entry for page in self.pages for entry in page.without_id]
        if unreadable:
            raise UnreadableImagesError(images, unreadable)
        return images

    @property
    def entries(self) -> dict[int, Image | UnreadableEntry]:
        """By ascending id, each as last seen."""
        found: dict[int, Image | UnreadableEntry] = {}
        for page in self.pages:
            found |= page.by_id
        return dict(sorted(found.items()))

    @property
    def is_complete(self) -> bool:
        """Whether no image can have been missed; of several pages without totals that is unknown."""
        return not changed_while_reading(self.pages) and reports_totals(self.pages)

    def confirms(self, earlier: "_Reading") -> bool:
        """Return whether it saw the same images, none of them moving."""
        return [*self.entries] == [*earlier.entries] and not changed_while_reading(self.pages)


def changed_while_reading(pages: Iterable[ImagesPage]) -> bool:
    """Return whether a list sorted by descending id may have hidden an image while its pages were read.

    An image is missed only if those before it moved up between two pages: then the list has become shorter,
    or has an image twice because it had become longer before.
    """
    pages = list(pages)
    totals = [total for page in pages if (total := page.pagination.total_entries) is not None]
    ids = [found for page in pages for found in page.ids]
    return len(set(ids)) < len(ids) or any(later < earlier for earlier, later in pairwise(totals))


def reports_totals(pages: Sequence[ImagesPage]) -> bool:
    """Return whether a change would be seen: several pages without totals can hide it."""
    return len(pages) < 2 or all(page.pagination.total_entries is not None for page in pages)
