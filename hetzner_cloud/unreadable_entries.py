"""Entries of a list whose decisive fields are not as documented: each affects no other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import HetznerCloudError

if TYPE_CHECKING:
    from hetzner_cloud.models import Action, Image
    from hetzner_cloud.servers import Server

_NAMED_IN_MESSAGE = 5


class UnreadableEntry(BaseModel):
    """An entry of a list that could not be read.

    Attributes:
        id: None if it has no valid one.
        type: An image's; empty if it has none, or that is invalid.
        reason: What is invalid.
        page: The number of the page that it is on.
    """

    model_config = ConfigDict(frozen=True)

    id: int | None
    type: str = ""
    reason: str
    page: int = 1

    def __str__(self) -> str:
        """Name it by its id or, without one, by its page."""
        name = f"an entry without a valid id on page {self.page}" if self.id is None else str(self.id)
        return f"{name}: {self.reason}"


class UnreadableEntriesError(HetznerCloudError):
    """Some entries of a list could not be read; the same request would return them again.

    Attributes:
        unreadable: These entries.
    """

    def __init__(self, unreadable: Sequence[UnreadableEntry], total: int, what: str) -> None:
        named = [str(entry) for entry in unreadable[:_NAMED_IN_MESSAGE]]
        if len(unreadable) > _NAMED_IN_MESSAGE:
            named.append(f"and {len(unreadable) - _NAMED_IN_MESSAGE} more")
        text = f"{len(unreadable)} of {total} {what} could not be read: {'; '.join(named)}"
        super().__init__(text, "unreadable")
        self.unreadable = list(unreadable)


class UnreadableImagesError(UnreadableEntriesError):
    """Some images of a list could not be read; `images` has all others."""

    def __init__(self, images: Sequence["Image"], unreadable: Sequence[UnreadableEntry]) -> None:
        super().__init__(unreadable, len(images) + len(unreadable), "images")
        self.images = list(images)
        self.args = (self.images, self.unreadable)


class UnreadableActionsError(UnreadableEntriesError):
    """Some actions of a list could not be read; `actions` has all others."""

    def __init__(self, actions: Sequence["Action"], unreadable: Sequence[UnreadableEntry]) -> None:
        super().__init__(unreadable, len(actions) + len(unreadable), "actions")
        self.actions = list(actions)
        self.args = (self.actions, self.unreadable)


class UnreadableServersError(UnreadableEntriesError):
    """Some servers of a list could not be read: their images are unknown; `servers` has all others."""

    def __init__(self, servers: Sequence["Server"], unreadable: Sequence[UnreadableEntry]) -> None:
        super().__init__(unreadable, len(servers) + len(unreadable), "servers")
        self.servers = list(servers)
        self.args = (self.servers, self.unreadable)
