"""What the benchmark needs of the Prefect server: storing credentials, and counting task runs."""

import asyncio
from collections.abc import Sequence

import httpx
from prefect.client.orchestration import get_client
from prefect.settings import temporary_settings
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from blocks.snapshot_policy import SnapshotPolicy
from playground.server import PrefectServer
from snapshot_protection.policy import Keep, Rule

PRUNING_POLICY = "pruning"
_SETTLE_SECONDS = 1.0


def save_projects(server: PrefectServer, names: Sequence[str], endpoint: str) -> None:
    """Save credentials blocks; a project's token is its name."""

    async def save() -> None:
        async with get_client() as client:
            for name in names:
                block = HetznerCloudCredentials(token=SecretStr(name), endpoint=endpoint)
                await block.asave(name, overwrite=True, client=client)

    with temporary_settings(server.settings):
        asyncio.run(save())


def save_pruning_policy(server: PrefectServer) -> None:
    """Save a policy that keeps few snapshots of each server."""
    keep = Keep(last=3, within_days=7, daily=7, weekly=4, monthly=6)
    with temporary_settings(server.settings):
        policy = SnapshotPolicy(rules=[Rule(name="all", prune=True, keep=keep)])
        asyncio.run(policy.asave(PRUNING_POLICY, overwrite=True))


def count_task_runs(server: PrefectServer, flow_run_id: str) -> int:
    """Count a flow run's task runs, once no more are coming in: the server writes them down afterwards."""

    async def count() -> int:
        wanted = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
        async with httpx.AsyncClient(trust_env=False) as http:
            before, now = -1, 0
            while now != before:
                await asyncio.sleep(_SETTLE_SECONDS)
                url = f"{server.environment['PREFECT_API_URL']}/task_runs/count"
                before, now = now, (await http.post(url, json=wanted)).raise_for_status().json()
        return now

    return asyncio.run(count())
