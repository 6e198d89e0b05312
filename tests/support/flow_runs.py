"""What the Prefect server has on record of a run: task runs, logs and artifacts arrive a moment later."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter, LogFilter
from prefect.client.schemas.objects import TERMINAL_STATES, Artifact, FlowRun, State, TaskRun

T = TypeVar("T")
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """A flow run as its caller sees it, and its record; `result` is what it returned or raised."""

    state: State[Any]
    result: Any
    record: FlowRun


async def run(flow: Flow[..., Any], **parameters: Any) -> Run:
    """Run a flow on the engine, to its final state."""
    state = await cast("Awaitable[State[Any]]", flow(**parameters, return_state=True))
    assert state.state_details.flow_run_id
    async with get_client() as client:
        record = await client.read_flow_run(state.state_details.flow_run_id)
    return Run(state, await state.aresult(raise_on_failure=False), record)


async def delete_unfinished(client: PrefectClient) -> None:
    """Delete each flow run that has not ended: audits name them, and the server lists only a page at once."""
    wanted = FlowRunFilter.model_validate({"state": {"type": {"not_any_": sorted(TERMINAL_STATES)}}})
    while found := await client.read_flow_runs(flow_run_filter=wanted):
        for flow_run in found:
            await client.delete_flow_run(flow_run.id)


async def task_runs_of(flow_run_id: UUID, *, at_least: int = 1) -> list[TaskRun]:
    async def read() -> list[TaskRun]:
        async with get_client() as client:
            return await client.read_task_runs(flow_run_filter=_only(flow_run_id))

    def whole(found: Sequence[TaskRun]) -> bool:
        return len(found) >= at_least and all(record.state and record.state.is_final() for record in found)

    return await eventually(read, whole)


async def log_of(flow_run_id: UUID, *, until: str) -> str:
    return await eventually(lambda: read_log(flow_run_id), lambda text: until in text)


async def read_log(flow_run_id: UUID) -> str:
    """Read what has arrived by now."""
    async with get_client() as client:
        wanted = LogFilter.model_validate({"flow_run_id": {"any_": [flow_run_id]}})
        return "\n".join(line.message for line in await client.read_logs(wanted))


def end_of(done: Run) -> str:
    """What only the last line of the run's log has; its task runs finish in states too."""
    assert done.state.message
    return done.state.message[:20]


async def artifacts_of(flow_run_id: UUID) -> list[Artifact]:
    async with get_client() as client:
        wanted = ArtifactFilter.model_validate({"flow_run_id": {"any_": [flow_run_id]}})
        return await client.read_artifacts(artifact_filter=wanted)


def table_in(artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
    [table] = [artifact for artifact in artifacts if artifact.type == "table"]
    rows = json.loads(table.data) if isinstance(table.data, str) else table.data
    assert isinstance(rows, list)
    return rows


def _only(flow_run_id: UUID) -> FlowRunFilter:
    return FlowRunFilter.model_validate({"id": {"any_": [flow_run_id]}})


async def eventually(read: Callable[[], Awaitable[T]], whole: Callable[[T], bool]) -> T:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not whole(found := await read()):  # noqa: ASYNC110 - the server notifies no one
            await asyncio.sleep(0.05)
    return found
