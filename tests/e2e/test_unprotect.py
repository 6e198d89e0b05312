"""Protection removed as people do it: the command, a worker, a second person's answer, the automations."""

import re
import sys
from datetime import UTC, datetime, timedelta
from inspect import signature
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Running

from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer, worker
from records.exemptions import load_exemptions
from tests.support.automations import create_automation, webhook
from tests.support.deployed_runs import resume
from tests.support.deployments import PROTECT, finished, make_deploy, runs_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import eventually
from tests.support.shell import from_the_shell
from tests.support.unprotect_runs import ANSWER, REASON, Project, make_project, scheduled_protection, state_of

pytestmark = pytest.mark.e2e

_WINDOW = "within: 15"  # seconds


@pytest.fixture
def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> Project:
    return make_project(make_sandbox, save_project)


@pytest.mark.usefixtures("nothing_deployed")
async def test_the_whole_story_on_a_worker(
    project: Project, prefect_api: PrefectServer, tmp_path: Path
) -> None:
    make_deploy(prefect_api)
    approved, rejected, cancelled, _ = project.protected
    with webhook() as (block_id, notifications), worker(prefect_api, tmp_path):
        create_automation(prefect_api, "approval-requested.yaml", tmp_path, BLOCK_DOCUMENT_ID=block_id)
        runs = {one: unprotect(prefect_api, project.name, one) for one in (approved, rejected, cancelled)}
        for run_id in runs.values():
            await becomes(run_id, "Suspended", tmp_path)

        async def received() -> list[dict[str, str]]:
            return notifications

        await eventually(received, lambda found: len(found) == len(runs))
        for image_id, run_id in runs.items():
            [body] = [one["body"] for one in notifications if f"snapshots: {image_id}." in one["body"]]
            assert body.endswith(f"{prefect_api.ui_url}/runs/flow-run/{run_id}")

        with pytest.raises(Exception, match="'decision' is a required property"):
            await resume(runs[approved])
        for run_id in runs.values():
            assert state_of(await read(run_id))[0] == "Suspended"
        assert not project.removals

        await resume(runs[rejected], decision="reject", approved_by="the on-call operator")
        done = await finished(runs[rejected])
        assert state_of(done)[0] == "Rejected"
        assert done.state
        assert done.state.is_completed()
        async with get_client() as client:
            await client.set_flow_run_state(runs[cancelled], Cancelled())
        with pytest.raises(Exception, match="isn't paused"):
            await resume(runs[cancelled], **ANSWER)
        assert not project.removals

        before = datetime.now(UTC)
        await resume(runs[approved], **ANSWER)
        done = await finished(runs[approved])
        assert state_of(done)[0] == "Completed", (state_of(done), (tmp_path / "worker.log").read_text())
        assert state_of(await read(runs[cancelled]))[0] == "Cancelled"

    assert project.removals == project.unprotected == [approved]
    exemptions = await load_exemptions(project.name)
    assert set(exemptions) == {approved}
    exemption = exemptions[approved]
    assert (exemption.reason, exemption.approved_by) == (REASON, ANSWER["approved_by"])
    assert before < exemption.until - timedelta(hours=2) < datetime.now(UTC)
    [scheduled] = await scheduled_protection(project.name)
    assert scheduled.id in {one.id for one in await runs_of(PROTECT)}
    assert scheduled.expected_start_time == exemption.until + timedelta(minutes=1)
    usual = {name: one.default for name, one in signature(protect_snapshots.fn).parameters.items()}
    assert scheduled.parameters == usual | {"projects": [project.name]}


@pytest.mark.reliability
@pytest.mark.usefixtures("nothing_deployed")
async def test_the_automation_of_zombie_runs_spares_a_run_that_waits_for_approval(
    project: Project, prefect_api: PrefectServer, tmp_path: Path
) -> None:
    make_deploy(prefect_api)
    create_automation(prefect_api, "zombie-runs.yaml", tmp_path, **{"within: 90": _WINDOW})
    with worker(prefect_api, tmp_path):
        run_id = unprotect(prefect_api, project.name, project.protected[0])
        await becomes(run_id, "Suspended", tmp_path)
        async with get_client() as client:  # a run without a process: it is crashed when the window is over
            deployment = await client.read_deployment_by_name(PROTECT)
            zombie = await client.create_flow_run_from_deployment(deployment.id, state=Running())
        assert state_of(await finished(zombie.id))[0] == "Crashed"
        assert state_of(await read(run_id))[0] == "Suspended"
        await resume(run_id, **ANSWER)
        assert state_of(await finished(run_id))[0] == "Completed"


def unprotect(server: PrefectServer, project: str, image_id: int) -> UUID:
    """Start a run from the shell; returns its id, as printed."""
    arguments = ("unprotect", str(image_id), "--project", project, "--reason", REASON, "--hours", "2")
    done = from_the_shell(server, sys.executable, "-m", "cli", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"Started flow run '.+' \((\S+)\)\.", done.stdout)
    assert found, done.stdout
    assert f"{server.ui_url}/runs/flow-run/{found[1]}" in done.stdout
    return UUID(found[1])


async def read(run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(run_id)


async def becomes(run_id: UUID, name: str, folder: Path) -> None:
    async def state() -> str:
        found = await read(run_id)
        assert found.state
        assert not found.state.is_final(), (state_of(found), (folder / "worker.log").read_text())
        return found.state.name or ""

    await eventually(state, lambda found: found == name)
