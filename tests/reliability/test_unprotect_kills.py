"""A run that removes protection is killed: what is unprotected by then is exempt, and a run will end that."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.states import Crashed

from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.deployed_runs import ensure_deployment
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.shell import ROOT, environment_of
from tests.support.stored_exemptions import load_exemptions
from tests.support.unprotect_runs import scheduled_protection
from tests.support.waits import until

pytestmark = pytest.mark.e2e

_SNAPSHOTS = 4
_PLANNED = _SNAPSHOTS  # requests of the plan
_POINTS = [
    *range(_PLANNED, _PLANNED + _SNAPSHOTS + 5)
]  # the last of the plan, each change, polls, verification


def _begin(server: PrefectServer, project: str, image_ids: list[int], log: Path) -> subprocess.Popen[bytes]:
    arguments = [
        "--project",
        project,
        "--reason",
        "moved to the new cluster",
        "--hours",
        "5",
        "--no-approval",
    ]
    command = [sys.executable, "-m", "cli", "unprotect", *map(str, image_ids), *arguments]
    environment = environment_of(server, HETZNER_CLOUD_MAX_CONCURRENT_REQUESTS="1")
    with log.open("w") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


async def _mark_crashed(project: str) -> None:
    """Do what the automation for zombie runs does, so that no later audit names the run."""
    async with get_client() as client:
        name = FlowRunFilter.model_validate({"name": {"any_": [f"unprotect-{project}"]}})
        for run in await client.read_flow_runs(flow_run_filter=name):
            await client.set_flow_run_state(run.id, Crashed(), force=True)


def _unprotected(sandbox: Sandbox) -> set[int]:
    return {
        image_id
        for image_id, image in sandbox.images.items()
        if image["type"] == "snapshot" and not image["protection"]["delete"]
    }


@pytest.mark.parametrize(
    "point", [pytest.param(one, marks=pytest.mark.reliability if one % 4 else ()) for one in _POINTS]
)
async def test_whatever_is_unprotected_when_a_run_is_killed_is_exempt_and_protected_again(
    engine: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, tmp_path: Path, point: int
) -> None:
    sandbox = make_sandbox(
        snapshots=_SNAPSHOTS, protected=_SNAPSHOTS, latency_seconds=0.02, action_seconds=0.1
    )
    project = f"killed-{uuid4().hex[:8]}"
    save_project(project, sandbox)
    await ensure_deployment(protect_snapshots, "on-demand")
    with _begin(engine, project, sorted(sandbox.images), tmp_path / "run.log") as process:
        until(lambda: len(sandbox.requests) >= point or process.poll() is not None)
        process.kill()
    await _mark_crashed(project)
    assert len(sandbox.requests) >= point, (tmp_path / "run.log").read_text()
    removed = {int(change.path.split("/")[3]) for change in sandbox.calls("change_image_protection")}
    assert _unprotected(sandbox) <= removed
    if removed:
        assert removed <= set(await load_exemptions(project))
        assert len(await scheduled_protection(project)) == 1
