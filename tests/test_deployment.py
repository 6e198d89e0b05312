"""`make deploy` on a real server, and a real worker in another folder that runs what was deployed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow, load_flow_from_entrypoint

from hetzner_cloud.sandbox import Sandbox
from playground.server import PrefectServer, end
from tests.conftest import SaveProject
from tests.records import artifacts_of, table_in

ROOT = Path(__file__).parent.parent
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
_RUN_SECONDS = 60.0


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))
def test_an_entrypoint_is_the_module_s_own_flow(deployment: dict[str, Any]) -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    module, _, name = deployment["entrypoint"].rpartition(".")
    assert flow is getattr(sys.modules[module], name)


def test_no_deployment_refers_to_a_block_or_keeps_a_secret() -> None:
    text = (ROOT / "prefect.yaml").read_text()
    assert not [mark for mark in ("prefect.blocks", "$ref", "token") if mark in text]


@contextmanager
def worker(server: PrefectServer, folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "hetzner-cloud"]
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**server.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        end(process)


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


async def finished(flow_run_id: Any) -> FlowRun:
    async with get_client() as client, asyncio.timeout(_RUN_SECONDS):
        while True:
            run = await client.read_flow_run(flow_run_id)
            if run.state and run.state.is_final():
                return run
            await asyncio.sleep(0.2)


@pytest.mark.e2e
async def test_what_is_deployed_runs_on_a_worker_in_another_folder(
    save_project: SaveProject, prefect_api: PrefectServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    save_project("prod", sandbox)
    seen = []
    for _ in range(2):
        make_deploy(prefect_api)
        seen.append(await deployed("protect-snapshots/on-demand"))
    assert seen[0] == seen[1]
    assert seen[0]["work_pool_name"] == "hetzner-cloud"

    with worker(prefect_api, tmp_path):
        async with get_client() as client:
            run = await client.create_flow_run_from_deployment(
                seen[0]["id"], parameters={"projects": ["prod"]}
            )
        run = await finished(run.id)

    assert run.state
    assert run.state.is_completed(), (tmp_path / "worker.log").read_text()
    assert run.state.message == "6 of 6 snapshots protected in 1 project (4 now, 2 before)"
    assert len(table_in(await artifacts_of(run.id))) == 6
    assert all(
        image["protection"]["delete"] for image in sandbox.images.values() if image["type"] == "snapshot"
    )
