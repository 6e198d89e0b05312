"""A run that waits for approval has no process, and sends no heartbeats: no automation takes it for dead."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Running

from playground.server import PrefectServer, worker
from tests.support.automations import create_automations, heartbeat
from tests.support.deployed_runs import resume
from tests.support.deployments import PROTECT, finished, make_deploy
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.unprotect_runs import (
    ANSWER,
    Project,
    becomes,
    make_project,
    read_run,
    start_from_the_shell,
    state_of,
)

pytestmark = pytest.mark.reliability

# Heartbeats come every 30 s at most, so the windows can be made this short and no shorter.
_WITHIN = {240: 60, 900: 60}


@pytest.fixture
def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> Project:
    return make_project(make_sandbox, save_project)


@pytest.mark.usefixtures("nothing_deployed")
async def test_the_automation_of_zombie_runs_spares_a_run_that_waits_for_approval(
    project: Project, prefect_api: PrefectServer, tmp_path: Path
) -> None:
    make_deploy(prefect_api)
    create_automations(prefect_api, tmp_path, "zombie-runs", within=_WITHIN)
    with worker(prefect_api, tmp_path):
        run_id = start_from_the_shell(prefect_api, project.name, project.protected[0])
        await becomes(run_id, "Suspended")
        async with get_client() as client:  # a run without a process: it is crashed when the window is over
            deployment = await client.read_deployment_by_name(PROTECT)
            zombie = await client.create_flow_run_from_deployment(deployment.id, state=Running())
        await heartbeat(zombie)
        assert state_of(await finished(zombie.id))[0] == "Crashed"
        assert state_of(await read_run(run_id))[0] == "Suspended"
        await resume(run_id, **ANSWER)
        assert state_of(await finished(run_id))[0] == "Completed"
