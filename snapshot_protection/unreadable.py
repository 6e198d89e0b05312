"""Snapshots of a listing that could not be read: neither protected nor unprotected, and named."""

from collections.abc import Sequence
from dataclasses import dataclass

from hetzner_cloud.models import Image
from hetzner_cloud.unreadable_entries import UnreadableImagesError
from snapshot_protection.error_info import ErrorInfo

UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class UnreadableSnapshot:
    """A snapshot with a valid id, and why the rest of it could not be read."""

    id: int
    error: ErrorInfo

    @property
    def is_snapshot(self) -> bool:
        """Whether it is one: as far as its type could be read."""
        return True

    @property
    def deleted(self) -> None:
        """When it was deleted: that is not known."""
        return


ListedSnapshot = Image | UnreadableSnapshot


@dataclass(frozen=True)
class Listing:
    """The snapshots of a project.

    Attributes:
        snapshots: Those with a valid id.
        without_id: What is wrong with each entry that has none.
    """

    snapshots: Sequence[ListedSnapshot]
    without_id: tuple[ErrorInfo, ...] = ()

    @classmethod
    def of(cls, error: UnreadableImagesError) -> "Listing":
        """Make it of a list with entries that could not be read, but those that are surely no snapshots."""
        unreadable = [entry for entry in error.unreadable if entry.type in {"", "snapshot"}]
        named = (
            UnreadableSnapshot(entry.id, _error_info(f"could not be read: {entry.reason}"))
            for entry in unreadable
            if entry.id is not None
        )
        without_id = (_error_info(f"could not be read: {entry}") for entry in unreadable if entry.id is None)
        return cls([*error.images, *named], tuple(without_id))


def _error_info(message: str) -> ErrorInfo:
    return ErrorInfo(code=UNREADABLE, message=message)
