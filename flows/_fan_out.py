"""Polling batches until each of their projects is reported, whatever happens to their flow runs."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from flows._batch import Batch, BatchStart, Progress
from flows._batch_decisions import Patience
from flows._batch_runs import BatchRuns
from flows._batch_steps import BatchSteps
from records.prefect_errors import describe_prefect_error, is_transient, unexpected
from reporting.run_logging import run_logger
from snapshot_protection.protection_report import ProjectReport

_POLL_SECONDS = 2.0
_MAX_POLL_SECONDS = 30.0  # while the Prefect API is unreachable
_HEARTBEAT_SECONDS = 15.0  # between looks for heartbeats, of runs that have shown nothing for twice as long


class FanOut:
    """Starts batches, at most so many at once, and polls the flow runs of all of them together."""

    def __init__(
        self,
        runs: BatchRuns,
        patience: Patience,
        *,
        max_concurrent: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._runs = runs
        self._patience = patience
        self._max_concurrent = max_concurrent
        self._clock = clock
        self._sleep = sleep
        self._active: list[Batch] = []
        self._progress = Progress(last=clock())
        self._steps = BatchSteps(runs, patience, self._progress, clock)
        self._next_heartbeats = clock()
        self._unreachable_since: float | None = None

    async def protect(self, batches: Sequence[Batch]) -> list[ProjectReport]:
        """Have the projects of all batches protected; whatever happens, each is reported once, in order."""
        waiting, delay = deque(batches), _POLL_SECONDS
        while self._fill(waiting):
            try:
                await self._poll()
            except Exception as error:  # noqa: BLE001 - the batches go on, and their reports are stored
                if not self._tolerates(error):
                    return await self._abandon(batches, error)
                delay = min(2 * delay, _MAX_POLL_SECONDS)
            else:
                delay = _POLL_SECONDS
                self._note_reachable()
                for batch in self._active:
                    await self._steps.advance(batch)
            if not any(batch.is_finished for batch in self._active):
                await self._sleep(delay)
        return [report for batch in batches for report in batch.project_reports]

    def _fill(self, waiting: deque[Batch]) -> bool:
        self._active = [batch for batch in self._active if not batch.is_finished]
        while waiting and len(self._active) < self._max_concurrent:
            self._active.append(waiting.popleft())
        return bool(self._active)

    async def _poll(self) -> None:
        starts = [start for batch in self._active for start in batch.starts]
        heartbeats = await self._read_heartbeats(starts)
        found = await self._runs.read([start.run.id for start in starts])
        for start in starts:
            if start.update(found.get(start.run.id), heartbeats.get(start.run.id), self._clock()):
                self._progress.last = self._clock()

    async def _read_heartbeats(self, starts: Sequence[BatchStart]) -> Mapping[UUID, datetime]:
        now = self._clock()
        quiet = [
            start.run.id for start in starts if start.is_active and now - start.seen > 2 * _HEARTBEAT_SECONDS
        ]
        if not quiet or now < self._next_heartbeats:
            return {}
        self._next_heartbeats = now + _HEARTBEAT_SECONDS
        try:
            heartbeats = await self._runs.read_last_heartbeats(quiet)
        except Exception as error:  # noqa: BLE001 - the runs are followed without
            if self._progress.expects_heartbeats:
                run_logger().warning("Heartbeats cannot be read: %s", describe_prefect_error(error))
            self._progress.expects_heartbeats = False
            return {}
        self._progress.expects_heartbeats = self._progress.expects_heartbeats or bool(heartbeats)
        return heartbeats

    def _tolerates(self, error: Exception) -> bool:
        now = self._clock()
        if self._unreachable_since is None:
            self._unreachable_since = now
            run_logger().warning("The batches cannot be polled: %s", describe_prefect_error(error))
        return now - self._unreachable_since < self._tolerated_seconds(error)

    def _tolerated_seconds(self, error: Exception) -> float:
        if is_transient(error):
            return self._patience.total_seconds
        if unexpected(error):
            return 0.0
        return self._patience.work_seconds  # a rejection, or a proxy's 404 while the server is away

    def _note_reachable(self) -> None:
        """Hold against no batch what could not be seen while the Prefect API was unreachable."""
        if self._unreachable_since is None:
            return
        now = self._progress.last = self._clock()
        run_logger().info("Polling the batches again, after %.0f s", now - self._unreachable_since)
        self._unreachable_since = None
        for batch in self._active:
            for start in batch.starts:
                start.seen = now

    async def _abandon(self, batches: Sequence[Batch], error: Exception) -> list[ProjectReport]:
        for batch in batches:
            if not batch.is_finished:
                await self._steps.fail(batch, error)
        return [report for batch in batches for report in batch.project_reports]
