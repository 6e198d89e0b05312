"""Waiting for actions, all of them together: 25 ids a request, only those that still run, with back-off.

A failed poll is no failed action. Every action is followed until it has ended, is unknown to the API, or the
time is over; only then are those that did not succeed reported, all at once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hetzner_cloud.client import batched_ids
from hetzner_cloud.errors import (
    ActionError,
    ActionFailedError,
    ActionNotFoundError,
    ActionUnfinishedError,
    AuthenticationError,
    HetznerCloudError,
    PermissionDeniedError,
)
from hetzner_cloud.models import Action
from hetzner_cloud.retry import is_transient
from hetzner_cloud.settings import Settings
from hetzner_cloud.validation import validate_timeout

LOGGER = logging.getLogger("hetzner_cloud")

_MISSES_ALLOWED = 3  # an answer may lag behind the change
_SECONDS_PER_BATCH = 0.02  # many batches are asked for less often: polling is what empties a request budget
_GROWTH = 1.2


class ActionSource(Protocol):
    """Where the state of actions comes from; the client is one."""

    async def list_actions(self, ids: Sequence[int]) -> list[Action]:
        """Answer the actions with these ids, without those that are unknown."""


@dataclass(frozen=True)
class Progress:
    """What one round of asking brought.

    Attributes:
        ended: The actions that ended since the last round.
        running: How many still run.
        percent: Of the whole batch; never less than the round before.
    """

    ended: Sequence[Action]
    running: int
    percent: float


@dataclass
class _ActionTracker:
    """What is known of the actions that are waited for."""

    actions: dict[int, Action]
    misses: dict[int, int] = field(default_factory=dict)
    faults: dict[int, int] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    percent: float = 0.0

    def running(self) -> list[int]:
        return [
            action_id
            for action_id, action in self.actions.items()
            if not action.ended and action_id not in self.lost and not self.missing(action_id)
        ]

    def missing(self, action_id: int) -> bool:
        return self.misses.get(action_id, 0) > _MISSES_ALLOWED

    def learn(self, asked: Sequence[int], answered: Sequence[Action]) -> list[Action]:
        """Take in an answer; returns the actions that ended with it."""
        found = {action.id: action for action in answered if action.id in asked}
        for action_id in asked:
            self.misses[action_id] = 0 if action_id in found else self.misses.get(action_id, 0) + 1
        self.actions |= found
        return [action for action in found.values() if action.ended]

    def measure(self) -> float:
        parts = [100.0 if action.ended else min(99.0, action.progress) for action in self.actions.values()]
        self.percent = max(self.percent, sum(parts) / len(parts) if parts else 100.0)
        return self.percent


async def wait_for_actions(
    source: ActionSource,
    actions: Sequence[Action],
    *,
    timeout_seconds: float,
    on_progress: Callable[[Progress], Awaitable[None]] | None = None,
    settings: Settings | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> list[Action]:
    """Wait until every action has ended; those that have already cost no request.

    Args:
        source: Is asked for the actions that still run.
        actions: What to wait for, as last seen.
        timeout_seconds: Wall-clock bound of the wait.
        on_progress: Is told after each round, once with what had ended before the first.
        settings: How often to ask, by default from the environment.
        clock: Monotonic time in seconds; replaced by tests.
        sleep: Pauses; replaced by tests.

    Returns:
        The finished actions in the order given, if all succeeded.

    Raises:
        InvalidArgumentError: The time-out is not above zero, or an id is none; nothing was sent.
        ActionError: Not all succeeded; tells which did, failed, still run, or are unknown.
        asyncio.CancelledError: The wait was cancelled; its text names what still ran.
    """
    validate_timeout(timeout_seconds)
    settings = settings or Settings.from_environment()
    watch = _ActionTracker({action.id: action for action in actions})
    batched_ids(watch.actions)
    deadline = clock() + timeout_seconds
    tell = on_progress or _nobody
    try:
        ended: Sequence[Action] = [action for action in actions if action.ended]
        for pause in _poll_delays(settings, watch):
            resume_at = clock() + pause
            running = watch.running()
            await tell(Progress(ended, len(running), watch.measure()))
            if not running or clock() >= deadline:
                break
            await sleep(max(0.0, min(deadline, resume_at) - clock()))
            ended = await _poll(source, watch, running, deadline - clock(), settings)
    except asyncio.CancelledError:
        raise asyncio.CancelledError(_cancelled(watch)) from None
    return _result_or_raise(watch, actions, timeout_seconds)


async def _poll(
    source: ActionSource, watch: _ActionTracker, running: Sequence[int], left: float, settings: Settings
) -> list[Action]:
    """Ask once for each running action; the last round before the deadline is let finish, shortly."""
    batches = batched_ids(running)
    bound = max(left, min(1.0, settings.request_timeout_seconds))
    answers = await asyncio.gather(
        *(asyncio.wait_for(source.list_actions(batch), bound) for batch in batches), return_exceptions=True
    )
    ended: list[Action] = []
    for batch, answer in zip(batches, answers, strict=True):
        if isinstance(answer, HetznerCloudError):
            _record_poll_error(watch, batch, answer)
        elif isinstance(answer, asyncio.CancelledError):
            raise answer
        elif isinstance(answer, BaseException):
            if not isinstance(answer, TimeoutError):  # a defect; the others are waited for, and all reported
                watch.lost |= dict.fromkeys(batch, repr(answer))
        else:
            ended += watch.learn(batch, answer)
    return ended


def _record_poll_error(watch: _ActionTracker, batch: Sequence[int], fault: HetznerCloudError) -> None:
    """A failed poll is no failed action; but one that does not heal ends the wait for its batch."""
    LOGGER.info("Asking for %d running actions failed: %s", len(batch), fault)
    if isinstance(fault, AuthenticationError | PermissionDeniedError):
        watch.lost |= dict.fromkeys(watch.running(), str(fault))
    elif not is_transient(fault):
        for action_id in batch:
            watch.faults[action_id] = watch.faults.get(action_id, 0) + 1
            if watch.faults[action_id] > _MISSES_ALLOWED:
                watch.lost[action_id] = str(fault)


def _poll_delays(settings: Settings, watch: _ActionTracker) -> Iterator[float]:
    """From the least pause, twice, growing to the longest; the first is short however many there are."""
    pause = settings.poll_interval_seconds
    yield pause
    while True:
        yield max(pause, _SECONDS_PER_BATCH * len(batched_ids(watch.running())))
        pause = min(pause * _GROWTH, settings.poll_max_interval_seconds)


def _result_or_raise(watch: _ActionTracker, given: Sequence[Action], timeout_seconds: float) -> list[Action]:
    known = [watch.actions[action.id] for action in given]
    missing = [action for action in known if not action.ended and watch.missing(action.id)]
    unfinished = [action for action in known if not action.ended and not watch.missing(action.id)]
    failed = [action for action in known if action.failed]
    succeeded = [action for action in known if action.succeeded]
    if not (failed or unfinished or missing):
        return known
    kind: type[ActionError] = ActionNotFoundError
    if failed or unfinished:
        kind = ActionFailedError if failed else ActionUnfinishedError
    raise kind(succeeded, failed, unfinished, missing, _reason(watch, unfinished, timeout_seconds))


def _reason(watch: _ActionTracker, unfinished: Sequence[Action], timeout_seconds: float) -> str:
    if not unfinished:
        return ""
    lost = next((watch.lost[action.id] for action in unfinished if action.id in watch.lost), "")
    return f"asking for them failed: {lost}" if lost else f"waited {timeout_seconds:g} s"


def _cancelled(watch: _ActionTracker) -> str:
    running = ", ".join(str(watch.actions[action_id]) for action_id in watch.running())
    return f"The wait was cancelled; still running: {running or 'nothing'}"


async def _nobody(_progress: Progress) -> None:
    """Nobody wants to know the progress."""
