"""One run of a model: what comes in between its requests, and what it sent and received."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

from tests.support.prune_reference import Json, Listed, Observed

if TYPE_CHECKING:
    from tests.support.prune_world import World

Happening = Callable[["World", "WatchedRun"], Any]
Change = Literal["unprotected", "deleted"]


class ProcessGoneError(Exception):
    """The process was killed: nothing that it does from here on reaches anything."""


@dataclass(frozen=True)
class Look:
    """A snapshot as the run last received it on its own, and at which of its requests.

    Attributes:
        image: None where the response was that it does not exist, or none that can be read.
    """

    image: Json | None
    at: int

    @property
    def is_protected(self) -> bool:
        """Whether it was seen protected."""
        return self.image is not None and self.image["protection"]["delete"] is True


@dataclass
class WatchedRun:
    """One run.

    Attributes:
        at: What happens before its nth request; or, at -n, before the response to that is received.
        requests: How many it has sent.
        was_allowed: Whether it held the lock, and Prefect called it Running, when it could look last.
        listing, listed, listed_at: The last lists that it received, and at which request.
        observed: Those lists on which its report is based.
        known: How many observations were stored when it loaded them.
        own: Its own observation.
        approved, approved_at: The plan that was approved, each snapshot as it was received before.
        writes: The requests that are to change something.
        changed: The snapshots that it unprotected or deleted, and when last; or had requested to.
        changes: Each such change that was requested, once.
        deleted: The snapshots that its requests have deleted.
        protecting: The snapshots for which a request to protect was accepted, and when last.
        looks: The last look at each snapshot.
        left: What it has reported as left unprotected, by an event.
        task: What a cancellation cancels.
    """

    days: float = 0
    id: UUID = field(default_factory=uuid4)
    at: dict[int, Happening] = field(default_factory=dict)
    is_gone: bool = False
    requests: int = 0
    was_allowed: bool = True
    listing: dict[int, Json] = field(default_factory=dict)
    began: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    listed: Listed | None = None
    listed_at: int = 0
    observed: Listed | None = None
    known: int = 0
    own: Observed | None = None
    approved: dict[int, Json] = field(default_factory=dict)
    approved_at: int = 0
    writes: list[str] = field(default_factory=list)
    changed: dict[int, int] = field(default_factory=dict)
    changes: set[tuple[int, Change]] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    protecting: dict[int, int] = field(default_factory=dict)
    looks: dict[int, Look] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    task: "asyncio.Task[Any] | None" = None


_RUN: ContextVar[WatchedRun] = ContextVar("run")


def current_run() -> WatchedRun:
    """Return the run in progress."""
    return _RUN.get()


async def within(run: WatchedRun, work: Any) -> Any:
    """Do some work as a run; it may come in between the requests of another one."""
    token = _RUN.set(run)
    try:
        return await work
    finally:
        _RUN.reset(token)
