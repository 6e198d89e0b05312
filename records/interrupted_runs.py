"""Finding flow runs that were interrupted or never started: one request to Prefect where there are none."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowRunFilter,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound

from records.heartbeats import read_last_heartbeats
from records.prefect_errors import describe_prefect_error
from records.project_flows import FLOW_NAMES, is_project_entrypoint
from snapshot_protection.interrupted_runs import (
    CLOCKS_DIFFER,
    InterruptedRuns,
    UnfinishedRun,
    select_silent,
)

_STATE_TYPES = ["RUNNING", "PENDING", "CANCELLING"]
_MAX_RUNS = 200  # as many as Prefect returns at once
_TIMEOUT_SECONDS = 10.0


async def find_interrupted_runs() -> InterruptedRuns:
    """Find this project's unfinished flow runs without a heartbeat or state change, except this run.

    Runs of deployments are this project's by their entrypoint; a run without a deployment by its flow's name
    alone, since nothing more is recorded of it.

    A check that fails is part of the result, and stops no run.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS), get_client() as client:
            return await _find(client)
    except Exception as error:  # noqa: BLE001 - what the audit found matters more
        return InterruptedRuns(error=_describe(error))


async def _find(client: PrefectClient) -> InterruptedRuns:
    found = await _read_unfinished(client)
    now = datetime.now(UTC)
    ours = await _select_ours(client, found)
    silent = select_silent([_unfinished_run(run, run.state) for run in ours if run.state], now=now)
    heartbeats = await read_last_heartbeats(client, [run.id for run in silent], until=now + CLOCKS_DIFFER)
    seen = [run.model_copy(update={"last_heartbeat": heartbeats.get(run.id)}) for run in silent]
    return InterruptedRuns(
        runs=tuple(select_silent(seen, now=now)),
        is_complete=len(found) < _MAX_RUNS,
    )


async def _read_unfinished(client: PrefectClient) -> list[FlowRun]:
    wanted = {
        "state": {"type": {"any_": _STATE_TYPES}},
        "id": {"not_any_": await _this_run_and_its_ancestors(client)},
    }
    return await client.read_flow_runs(
        flow_filter=FlowFilter.model_validate({"name": {"any_": list(FLOW_NAMES)}}),
        flow_run_filter=FlowRunFilter.model_validate(wanted),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,  # what is cut off has been reported by earlier audits
        limit=_MAX_RUNS,
    )


async def _select_ours(client: PrefectClient, runs: Sequence[FlowRun]) -> list[FlowRun]:
    """Leave out the runs of other projects' deployments, whose flows merely have the same names."""
    ids = {run.deployment_id for run in runs if run.deployment_id}
    if not ids:
        return list(runs)
    wanted = DeploymentFilter(id=DeploymentFilterId(any_=list(ids)))
    deployments = await client.read_deployments(deployment_filter=wanted)
    others = {item.id for item in deployments if not is_project_entrypoint(item.entrypoint)}
    return [run for run in runs if run.deployment_id not in others]


async def _this_run_and_its_ancestors(client: PrefectClient) -> list[UUID]:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    ids = []
    with suppress(ObjectNotFound):  # a parent's task run is recorded a moment after it was started
        while run:
            ids.append(run.id)
            task_run = await client.read_task_run(run.parent_task_run_id) if run.parent_task_run_id else None
            run = (
                await client.read_flow_run(task_run.flow_run_id)
                if task_run and task_run.flow_run_id
                else None
            )
    return ids


def _unfinished_run(run: FlowRun, state: State[Any]) -> UnfinishedRun:
    return UnfinishedRun(
        id=run.id,
        name=run.name,
        state=state.name or state.type.value,
        since=state.timestamp,
        started=run.start_time is not None,
    )


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no response from the Prefect API within {_TIMEOUT_SECONDS:g} s"
    return describe_prefect_error(error)
