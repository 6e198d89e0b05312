"""Protection removed as operators do it: the command, a worker, a second user's decision, the automations."""

from datetime import UTC, datetime, timedelta
from inspect import signature
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelled

from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer, worker
from tests.support.automations import create_automations, notifications, save_notification_block
from tests.support.deployed_runs import resume
from tests.support.deployments import PROTECT, finished, make_deploy, runs_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.stored_exemptions import load_exemptions
from tests.support.unprotect_runs import (
    ANSWER,
    REASON,
    Project,
    becomes,
    make_project,
    read_run,
    scheduled_protection,
    start_from_the_shell,
    state_of,
)
from tests.support.waits import until_async

pytestmark = pytest.mark.e2e


@pytest.fixture
def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> Project:
    return make_project(make_sandbox, save_project)


@pytest.mark.usefixtures("nothing_deployed")
async def test_the_whole_story_on_a_worker(
    project: Project, prefect_api: PrefectServer, tmp_path: Path
) -> None:
    make_deploy(prefect_api)
    approved, rejected, cancelled, _ = project.protected
    with notifications() as (url, received), worker(prefect_api, tmp_path):
        block = await save_notification_block(url)
        create_automations(prefect_api, tmp_path, "approval-requested", block=block, within={})
        runs = {
            one: start_from_the_shell(prefect_api, project.name, one)
            for one in (approved, rejected, cancelled)
        }
        for run_id in runs.values():
            await becomes(run_id, "Suspended")

        await until_async(lambda: len(received) == len(runs))
        for image_id, run_id in runs.items():
            [body] = [one["body"] for one in received if f": {image_id}\n" in one["body"]]
            assert f"{prefect_api.ui_url}/runs/flow-run/{run_id}\n" in body

        with pytest.raises(Exception, match="'decision' is a required property"):
            await resume(runs[approved])
        for run_id in runs.values():
            assert state_of(await read_run(run_id))[0] == "Suspended"
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
        assert state_of(await read_run(runs[cancelled]))[0] == "Cancelled"

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
