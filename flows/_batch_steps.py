"""The next step with a batch: start it, take its report, wait, start it again, or give it up."""

from collections.abc import Callable
from dataclasses import dataclass

from flows._batch import Batch, BatchStart, Progress
from flows._batch_decisions import Patience, RunStatus, decide, waits_too_long
from flows._batch_runs import BatchRuns
from records.prefect_errors import describe_prefect_error, is_transient, unexpected
from reporting.run_logging import run_logger

_MAX_STARTS = 3


@dataclass(frozen=True)
class BatchSteps:
    """Takes steps with batches, each isolated from the errors of the others.

    Attributes:
        runs: Their flow runs.
        patience: How long they may go without progress.
        progress: What is known of all batches together.
        clock: Seconds since any moment.
    """

    runs: BatchRuns
    patience: Patience
    progress: Progress
    clock: Callable[[], float]

    async def advance(self, batch: Batch) -> None:
        """Take the next step with a batch; an error is of this batch only."""
        now = self.clock()
        try:
            await self._advance(batch)
        except Exception as error:  # noqa: BLE001 - no other batch is stopped
            if batch.failing_since is None:
                batch.failing_since = now
                run_logger().warning("Batch %s: %s", batch.number, describe_prefect_error(error))
            if not is_transient(error) or now - batch.failing_since > self.patience.work_seconds:
                await self.fail(batch, error)
        else:
            batch.failing_since = None

    async def fail(self, batch: Batch, error: Exception) -> None:
        """Give up a batch whose flow runs cannot be started, read or cancelled."""
        await self._cancel_unfinished(batch)
        last = batch.starts[-1].describe() if batch.starts else "the batch was not started"
        batch.error = f"{last}; {describe_prefect_error(error)}"
        run_logger().error("Batch %s is given up: %s", batch.number, batch.error, exc_info=unexpected(error))

    async def _advance(self, batch: Batch) -> None:
        if batch.wants_start:
            await self._start(batch)
        if await self._take_report(batch):
            return
        run = batch.starts[-1]
        status = self._status(run)
        match decide(status, self.patience, is_last_start=len(batch.starts) >= _MAX_STARTS):
            case "start again":
                await self._start_again(batch, run, status)
            case "give up":
                await self._give_up(batch, run, status)
            case "wait" if waits_too_long(status, self.patience):
                await self._warn(batch, run)

    def _status(self, start: BatchStart) -> RunStatus:
        now = self.clock()
        return RunStatus(
            state=start.state.type if start.state else None,
            silent_seconds=now - start.seen,
            idle_seconds=now - self.progress.last,
            age_seconds=now - start.started,
            expects_heartbeats=self.progress.expects_heartbeats,
        )

    async def _start(self, batch: Batch) -> None:
        parameters = {**batch.parameters, "projects": list(batch.projects)}
        number = len(batch.starts) + 1
        run = await self.runs.start(parameters, batch=batch.number, number=number)
        now = self.clock()
        batch.starts.append(BatchStart(run, started=now, seen=now, state=run.state))
        batch.wants_start = False
        run_logger().info("Batch %s: flow run '%s' (%s)", batch.number, run.name, run.id)

    async def _take_report(self, batch: Batch) -> bool:
        """Take the first report of any flow run of a batch: one that was taken for dead may have lived."""
        for start in batch.starts:
            if start.state and start.is_final and start.checked != start.state.id:
                batch.report = await self.runs.find_report(start.run.id)
                start.checked = start.state.id
                if batch.report:
                    await self._cancel_unfinished(batch)
                    return True
        return False

    async def _warn(self, batch: Batch, run: BatchStart) -> None:
        if not batch.is_warned:
            reason = await self.runs.describe_wait(run.run)
            run_logger().warning("Flow run '%s' (%s) waits: %s", run.run.name, run.run.id, reason)
            batch.is_warned = True

    async def _start_again(self, batch: Batch, run: BatchStart, status: RunStatus) -> None:
        if run.is_final:
            run_logger().warning("%s. Starting it again.", run.describe())
            batch.wants_start = True
            await self._start(batch)
        else:  # the next poll shows whether it is Crashed now, or has just finished
            silence = f"No heartbeat or state change was seen for {status.silent_seconds:.0f} s"
            await self.runs.mark_crashed(run.run, silence)

    async def _give_up(self, batch: Batch, run: BatchStart, status: RunStatus) -> None:
        """Cancel a batch, and check once more for a report: it may have finished in the meantime."""
        if not run.is_final and not batch.given_up_because:
            batch.given_up_because = await self._describe_patience(run, status)
        await self._cancel_unfinished(batch)
        found = await self.runs.read([start.run.id for start in batch.starts])
        for start in batch.starts:
            start.update(found.get(start.run.id), None, self.clock())
        if not await self._take_report(batch):
            batch.error = run.describe() + batch.given_up_because
            run_logger().error("Batch %s is given up: %s", batch.number, batch.error)

    async def _describe_patience(self, run: BatchStart, status: RunStatus) -> str:
        age, silence = status.age_seconds / 60, status.silent_seconds / 60
        text = f"; cancelled {age:.0f} min after its start, {silence:.0f} min after its last progress"
        if run.state and (run.state.is_scheduled() or run.state.is_pending()):
            text += f"; {await self.runs.describe_wait(run.run)}"
        return text

    async def _cancel_unfinished(self, batch: Batch) -> None:
        for start in batch.starts:
            if not start.is_final:
                try:
                    await self.runs.cancel(start.run)
                except Exception as error:  # noqa: BLE001 - its projects are reported all the same
                    reason = describe_prefect_error(error)
                    run_logger().warning("Flow run %s was not cancelled: %s", start.run.id, reason)
