"""Deployments on a real Prefect server: deploying, starting runs, waiting for them."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun

from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer

ROOT = Path(__file__).parents[2]


AUDIT, PROTECT = "audit-snapshot-protection/nightly", "protect-snapshots/on-demand"


BATCH = "protect-snapshots/batch"


FAN_OUT = "protect-on-workers/fan-out"
UNPROTECT = "unprotect-snapshots/with-approval"
PRUNE_NIGHTLY, PRUNE = "prune-snapshots/nightly", "prune-snapshots/on-demand"
EVERY = [AUDIT, PROTECT, BATCH, FAN_OUT, UNPROTECT, PRUNE_NIGHTLY, PRUNE]


POOL = "hetzner-cloud"


_RUN_SECONDS = 180.0


@asynccontextmanager
async def batch_deployed(client: PrefectClient) -> AsyncIterator[str]:
    """A deployment `batch` alone, made in no time, in a work pool without workers; yields the pool's name."""
    pool = f"idle-{uuid4()}"
    await client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
    flow_id = await client.create_flow(protect_snapshots)
    await client.create_deployment(flow_id, BATCH.partition("/")[2], work_pool_name=pool)
    yield pool
    await client.delete_work_pool(pool)


def make_deploy(server: PrefectServer) -> None:
    environment = {**server.environment, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["make", "deploy"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def deployed(name: str) -> dict[str, Any]:
    async with get_client() as client:
        found = await client.read_deployment_by_name(name)
    return found.model_dump(mode="json", exclude={"updated", "last_polled", "status", "version_id"})


async def finished(flow_run_id: Any, *, patience_seconds: float = _RUN_SECONDS) -> FlowRun:
    async with get_client() as client, asyncio.timeout(patience_seconds):
        while True:
            run = await client.read_flow_run(flow_run_id)
            if run.state and run.state.is_final():
                return run
            await asyncio.sleep(0.2)


async def start(name: str, **parameters: Any) -> FlowRun:
    """Start a deployment as the UI does, and wait for the end of its run."""
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(name)
        run = await client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
    return await finished(run.id)


async def runs_of(name: str) -> list[FlowRun]:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(name)
        wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
        return await client.read_flow_runs(deployment_filter=wanted)


def state_of(run: FlowRun) -> tuple[str, str | None]:
    assert run.state
    return run.state.type.value, run.state.message
