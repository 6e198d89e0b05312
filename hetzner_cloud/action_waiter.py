"""Waiting for actions, all of them together: 25 ids a request, only those that still run, with backoff.

A failed poll does not fail the action. Every action is polled until it has finished, is unknown to the API,
or the timeout is reached; only then are those that did not succeed reported, all at once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hetzner_cloud.action_tracker import ActionTracker
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.models import Action
from hetzner_cloud.requests import batched_ids
from hetzner_cloud.settings import Settings
from hetzner_cloud.unreadable_entries import UnreadableActionsError
from hetzner_cloud.validation import validate_timeout

LOGGER = logging.getLogger(__name__)

_SECONDS_PER_BATCH = 0.02  # many batches are polled less often: polling is what empties a request budget
_GROWTH = 1.2
_MAX_GROWTHS = 100
_MIN_LAST_POLL_SECONDS = 1.0


class ActionSource(Protocol):
    """Where the state of actions comes from; the client is one."""

    async def list_actions(self, ids: Sequence[int]) -> list[Action]:
        """Return the actions with these ids, without those that are unknown.

        Raises:
            UnreadableActionsError: Some could not be read; it has all others.
        """


@dataclass(frozen=True)
class Progress:
    """The result of one poll.

    Attributes:
        finished: The actions that finished since the last poll.
        running: How many still run.
        percent: Of the whole batch; never less than at the poll before.
    """

    finished: Sequence[Action]
    running: int
    percent: float


async def _ignore(_progress: Progress) -> None:
    """Report to no one."""


async def wait_for_actions(
    source: ActionSource,
    actions: Sequence[Action],
    *,
    timeout_seconds: float,
    on_progress: Callable[[Progress], Awaitable[None]] = _ignore,
    settings: Settings | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> list[Action]:
    """Wait until every action has finished; those that have already cost no request.

    Args:
        source: Is polled for the actions that still run.
        actions: What to wait for, as last seen.
        timeout_seconds: Wall-clock limit of the wait.
        on_progress: Receives the progress after each poll, and once what had finished before the first.
        settings: How often to poll, by default from the environment.
        clock: Monotonic time in seconds; replaced by tests.
        sleep: Sleeps; replaced by tests.

    Returns:
        The finished actions in the order given, if all succeeded.

    Raises:
        InvalidArgumentError: The timeout is not above zero, or an id is invalid; nothing was sent.
        ActionError: Not all succeeded; lists which did, failed, still run, or are unknown.
        asyncio.CancelledError: The wait was cancelled; its message names the first of what still ran, the log
            has all of it.
    """
    validate_timeout(timeout_seconds)
    tracker = ActionTracker({action.id: action for action in actions})
    batched_ids(tracker.actions)
    deadline = clock() + timeout_seconds
    settings = settings or Settings.from_environment()
    wait = _Wait(source, tracker, deadline, settings, on_progress, clock, sleep)
    try:
        await wait.until_finished()
    except asyncio.CancelledError:
        _log_running(tracker)
        raise asyncio.CancelledError(tracker.describe_cancelled()) from None
    return tracker.result_or_raise(actions, timeout_seconds)


@dataclass
class _Wait:
    """Polls until no action is running, or until the deadline."""

    source: ActionSource
    tracker: ActionTracker
    deadline: float
    settings: Settings
    on_progress: Callable[[Progress], Awaitable[None]]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    polls: int = 0

    async def until_finished(self) -> None:
        poll_at = await self._report([one for one in self.tracker.actions.values() if one.is_finished])
        while self.tracker.running() and self.clock() < self.deadline:
            await self.sleep(max(0.0, min(self.deadline, poll_at) - self.clock()))
            poll_at = await self._report(await self._poll())

    async def _report(self, finished: Sequence[Action]) -> float:
        """Report progress; returns when to poll next: the time that reporting takes is part of the delay."""
        running = self.tracker.running()
        poll_at = self.clock() + _poll_delay(self.settings, self.polls, len(batched_ids(running)))
        await self.on_progress(Progress(finished, len(running), self.tracker.measure()))
        return poll_at

    async def _poll(self) -> list[Action]:
        """Poll each running action once; returns those that finished."""
        self.polls += 1
        batches = batched_ids(self.tracker.running())
        results = await asyncio.gather(*map(self._list_batch, batches), return_exceptions=True)
        finished: list[Action] = []
        for batch, result in zip(batches, results, strict=True):
            finished += self._record(batch, result)
        _log_errors(batches, results)
        return finished

    async def _list_batch(self, batch: Sequence[int]) -> list[Action]:
        """Send one request; the last one before the deadline may take a moment longer."""
        shortest = min(_MIN_LAST_POLL_SECONDS, self.settings.request_timeout_seconds)
        timeout = max(self.deadline - self.clock(), shortest)
        return await asyncio.wait_for(self.source.list_actions(batch), timeout)

    def _record(self, batch: Sequence[int], result: list[Action] | BaseException) -> list[Action]:
        match result:
            case list():
                return self.tracker.update(batch, result)
            case UnreadableActionsError():
                return self.tracker.update_readable(batch, result)
            case HetznerCloudError():
                self.tracker.record_poll_error(batch, result)
            case asyncio.CancelledError():
                raise result
            case TimeoutError():
                pass  # it is polled again, if there is time
            case _:  # a defect; the others are waited for, and all reported
                self.tracker.give_up(batch, repr(result))
        return []


def _log_errors(batches: Sequence[Sequence[int]], results: Sequence[object]) -> None:
    """Log the first error of a poll: with thousands of actions there can be hundreds, again at each poll."""
    errors = [
        (len(batch), result)
        for batch, result in zip(batches, results, strict=True)
        if isinstance(result, HetznerCloudError)
    ]
    failed = [(count, error) for count, error in errors if not isinstance(error, UnreadableActionsError)]
    if failed:
        actions = sum(count for count, _ in failed)
        LOGGER.info("Polling %d running actions failed: %s", actions, failed[0][1])
    elif errors:  # the others of its batch were read
        LOGGER.info("%s", errors[0][1])


def _log_running(tracker: ActionTracker) -> None:
    for batch in batched_ids(tracker.running()):
        actions = "; ".join(str(tracker.actions[action_id]) for action_id in batch)
        LOGGER.warning("The wait was cancelled; still running: %s", actions)


def _poll_delay(settings: Settings, polls: int, batches: int) -> float:
    """Return the seconds before the next poll: the first delay is short however many actions there are."""
    if polls == 0:
        return settings.poll_interval_seconds
    grown = settings.poll_interval_seconds * _GROWTH ** min(polls - 1, _MAX_GROWTHS)
    return max(min(grown, settings.poll_max_interval_seconds), _SECONDS_PER_BATCH * batches)
