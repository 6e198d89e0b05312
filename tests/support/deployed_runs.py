"""Flow runs of a deployment, executed in this process as a worker's process would."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flow_runs import resume_flow_run


async def ensure_deployment(flow: Flow[..., Any], name: str) -> UUID:
    """Make a deployment of this flow, or find the one that exists."""
    async with get_client() as client:
        return await client.create_deployment(await client.create_flow(flow), name)


async def create_run(flow: Flow[..., Any], deployment: str, **parameters: Any) -> UUID:
    """Create a run of a deployment of this flow, which is made if there is none."""
    deployment_id = await ensure_deployment(flow, deployment)
    async with get_client() as client:
        run = await client.create_flow_run_from_deployment(deployment_id, parameters=parameters)
    return run.id


async def execute(flow: Flow[..., Any], flow_run_id: UUID) -> FlowRun:
    """Execute a flow run until its process would end: at its final state, or suspended."""
    async with get_client() as client:
        run = await client.read_flow_run(flow_run_id)
        with suppress(Pause):
            await run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")  # type: ignore[misc]
        return await client.read_flow_run(flow_run_id)


async def resume(flow_run_id: UUID, **answer: str) -> None:
    """Resume a suspended run as the UI does."""
    await resume_flow_run(flow_run_id, run_input=answer or None)  # type: ignore[misc]
