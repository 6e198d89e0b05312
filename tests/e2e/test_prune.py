"""Pruning as operators do it: the command, a worker, a second user's decision, a cancellation in the UI."""

import re
import sys
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelling

from playground.server import PrefectServer, worker
from sandbox import ManualClock
from tests.support.deployed_runs import resume
from tests.support.deployments import finished, make_deploy
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.prune_runs import PruneProject, make_prune_project
from tests.support.shell import from_the_shell
from tests.support.unprotect_runs import ANSWER, becomes, state_of
from tests.support.waits import until_async

pytestmark = pytest.mark.e2e


def start(server: PrefectServer, project: PruneProject) -> UUID:
    arguments = ("prune", "--apply", "--project", project.name, "--policy", project.policy)
    done = from_the_shell(server, sys.executable, "-m", "cli", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"Started flow run '.+' \((\S+)\)\.", done.stdout)
    assert found, done.stdout
    return UUID(found[1])


@pytest.mark.reliability
@pytest.mark.usefixtures("nothing_deployed")
async def test_approved_runs_on_a_worker_prune_and_a_cancelled_one_protects_again(
    make_sandbox: MakeSandbox, save_project: SaveProject, prefect_api: PrefectServer, tmp_path: Path
) -> None:
    clock = ManualClock()
    pruned = await make_prune_project(make_sandbox, save_project)
    cancelled = await make_prune_project(
        make_sandbox, save_project, action_seconds=3, clock=clock, first_image_id=200_000_001
    )
    make_deploy(prefect_api)
    with worker(prefect_api, tmp_path):
        runs = {}
        for project in (pruned, cancelled):
            await project.age()
            runs[project.name] = start(prefect_api, project)
        for project in (pruned, cancelled):
            await becomes(runs[project.name], "Suspended")
            assert not project.writes
            await resume(runs[project.name], **ANSWER)
        await until_async(lambda: cancelled.sandbox.calls("list_actions"))
        async with get_client() as client:
            await client.set_flow_run_state(runs[cancelled.name], Cancelling(), force=True)
        await until_async(lambda: len(cancelled.sandbox.calls("change_image_protection")) > 1)
        clock.advance(10)
        ended = await finished(runs[cancelled.name])
        done = await finished(runs[pruned.name])
    assert state_of(done)[0] == "Completed", (state_of(done), (tmp_path / "worker.log").read_text())
    assert pruned.left == [pruned.newest]
    assert state_of(ended)[0] == "Cancelled"
    assert cancelled.left == [*cancelled.candidates, cancelled.newest]
    await until_async(lambda: not cancelled.unprotected)
    assert not cancelled.deletions


async def test_the_command_looks_by_default_and_prints_each_candidate(
    engine: PrefectServer, make_sandbox: MakeSandbox, save_project: SaveProject
) -> None:
    project = await make_prune_project(make_sandbox, save_project)
    done = from_the_shell(
        engine, sys.executable, "-m", "cli", "prune", "--project", project.name, "--policy", project.policy
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "quarantined" in done.stdout
    assert all(str(image_id) in done.stdout for image_id in project.left)
    assert "Completed: 3 snapshots: 2 quarantined, 1 kept" in done.stdout
    assert not project.writes
