"""The flow runs of batches on the Prefect server: starting, reading and cancelling them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, WorkerStatus
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Crashed

from flows._batch_decisions import describe_wait
from hetzner_cloud.errors import InvalidArgumentError
from records.batch_reports import find_report
from records.heartbeats import read_last_heartbeats
from records.prefect_errors import describe_prefect_error
from reporting.run_logging import run_logger
from snapshot_protection.interrupted_runs import CLOCKS_DIFFER
from snapshot_protection.protection_report import ProtectionReport

_BATCH = "protect-snapshots/batch"
_MAX_IDS = 50  # of flow runs in a request; a server returns 200 at once, or what it is set to
_MAX_CONCURRENT_CANCELS = 10
_FINAL_OR_CANCELLING = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING"]


@dataclass(frozen=True)
class BatchRuns:
    """The flow runs that one run of fan-out starts.

    Prefect's own waits do not do: `arun_deployment` ends with the first request that its client gave up,
    after about a minute, and `wait_for_flow_run` waits for an event that is lost if the server is away.

    Attributes:
        client: A started client.
        parent: The flow run of fan-out; None outside of one.
        attempt: How often that was run: a retry starts its batches from scratch.
    """

    client: PrefectClient
    parent: UUID | None
    attempt: int = 0

    async def check_deployed(self) -> None:
        """Check that there is a deployment to start.

        Raises:
            InvalidArgumentError: There is none.
        """
        try:
            await self.client.read_deployment_by_name(_BATCH)
        except ObjectNotFound:
            raise _not_deployed() from None

    async def start(self, parameters: Mapping[str, Any], *, batch: int, number: int) -> FlowRun:
        """Start a batch for the nth time; called again after its response was lost, it starts no other.

        Raises:
            InvalidArgumentError: The deployment was deleted.
        """
        try:
            return await arun_deployment(
                _BATCH,
                client=self.client,
                parameters=dict(parameters),
                timeout=0,
                idempotency_key=f"{self.parent}-{self.attempt}-{batch}-{number}" if self.parent else None,
            )
        except ObjectNotFound:
            raise _not_deployed() from None

    async def read(self, ids: Sequence[UUID]) -> Mapping[UUID, FlowRun]:
        """Read flow runs; one that was deleted is left out."""
        found: dict[UUID, FlowRun] = {}
        for at in range(0, len(ids), _MAX_IDS):
            wanted = FlowRunFilter.model_validate({"id": {"any_": list(ids[at : at + _MAX_IDS])}})
            found |= {run.id: run for run in await self.client.read_flow_runs(flow_run_filter=wanted)}
        for missing in set(ids) - found.keys():  # deleted, unless the server returns fewer at once
            with suppress(ObjectNotFound):
                found[missing] = await self.client.read_flow_run(missing)
        return found

    async def read_last_heartbeats(self, ids: Iterable[UUID]) -> Mapping[UUID, datetime]:
        """Read the last heartbeat of each flow run, and that of fan-out's own."""
        every = [*ids, *([self.parent] if self.parent else [])]
        return await read_last_heartbeats(self.client, every, until=datetime.now(UTC) + CLOCKS_DIFFER)

    async def find_report(self, flow_run_id: UUID) -> ProtectionReport | None:
        """Find the last report that a flow run published; None if there is none that can be read."""
        return await find_report(self.client, flow_run_id)

    async def describe_wait(self, run: FlowRun) -> str:
        """Describe what a flow run waits for in its work pool, and what to do about it."""
        pool, queue = run.work_pool_name or "-", run.work_queue_name or "default"
        try:
            paused = (
                (await self.client.read_work_pool(pool)).is_paused,
                (await self.client.read_work_queue_by_name(queue, work_pool_name=pool)).is_paused,
            )
            workers = await self.client.read_workers_for_work_pool(pool)
        except Exception as error:  # noqa: BLE001 - only words are lost
            return f"work pool '{pool}', work queue '{queue}': {describe_prefect_error(error)}"
        online = sum(worker.status is WorkerStatus.ONLINE for worker in workers)
        return describe_wait(pool, queue, online=online, is_paused=any(paused))

    async def mark_crashed(self, run: FlowRun, reason: str) -> None:
        """Mark a flow run as Crashed, unless it has just reached a final state."""
        with suppress(ObjectNotFound):  # the next poll shows that it was deleted
            await self.client.set_flow_run_state(run.id, Crashed(message=reason))

    async def cancel(self, run: FlowRun) -> None:
        """Cancel a flow run, unless it has just reached a final state; one without a process at once.

        Not with `force`, which would overwrite that final state.
        """
        await self.client.set_flow_run_state(run.id, Cancelling())

    async def cancel_all(self) -> None:
        """Cancel all flow runs that this one started and that are in progress, or wait for a worker."""
        seen: set[UUID] = set()
        try:
            while runs := [run for run in await self._read_unfinished() if run.id not in seen]:
                seen |= {run.id for run in runs}
                limiter = asyncio.Semaphore(_MAX_CONCURRENT_CANCELS)
                await asyncio.gather(*(self._cancel_with_parent(run, limiter) for run in runs))
        except Exception as error:  # noqa: BLE001 - this run is cancelled all the same
            run_logger().error("The batches were not cancelled: %s", describe_prefect_error(error))

    async def _read_unfinished(self) -> list[FlowRun]:
        """Read a page; those that are cancelled then are no part of the next one."""
        wanted = FlowRunFilter.model_validate(
            {
                "parent_flow_run_id": {"any_": [self.parent]},
                "state": {"type": {"not_any_": _FINAL_OR_CANCELLING}},
            }
        )
        return await self.client.read_flow_runs(flow_run_filter=wanted) if self.parent else []

    async def _cancel_with_parent(self, run: FlowRun, limiter: asyncio.Semaphore) -> None:
        try:
            async with limiter:
                await self.cancel(run)
        except Exception as error:  # noqa: BLE001 - the others are cancelled all the same
            reason = describe_prefect_error(error)
            run_logger().warning("Not cancelled: flow run '%s' (%s): %s", run.name, run.id, reason)
        else:
            run_logger().warning("Cancelled with this run: flow run '%s' (%s)", run.name, run.id)


def _not_deployed() -> InvalidArgumentError:
    return InvalidArgumentError(f"There is no deployment {_BATCH}: run `make deploy`.")
