"""What the server does with a deployment by itself: schedule its runs, and put their task runs on record."""

from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from playground.server import PrefectServer, worker
from tests.support.deployments import AUDIT, make_deploy, runs_of, start, state_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import eventually, task_runs_of

pytestmark = pytest.mark.e2e


@pytest.mark.usefixtures("nothing_deployed")
async def test_audits_are_scheduled_and_their_task_runs_recorded(
    save_project: SaveProject, prefect_api: PrefectServer, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    save_project("scheduled", make_sandbox(snapshots=3, protected=3))
    make_deploy(prefect_api)
    with worker(prefect_api, tmp_path):
        audited = await start(AUDIT, projects=["scheduled"])
    assert state_of(audited) == ("COMPLETED", "3 of 3 snapshots protected in 1 project")
    [task_run] = await task_runs_of(audited.id)
    assert (task_run.name, task_run.state_name) == ("list-snapshots-scheduled", "Completed")

    runs = await eventually(partial(runs_of, AUDIT), lambda found: len(found) > 1)
    scheduled = [run for run in runs if run.id != audited.id]
    assert {(run.auto_scheduled, run.state_name) for run in scheduled} == {(True, "Scheduled")}
    for run in scheduled:
        assert run.expected_start_time
        assert run.expected_start_time.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") == "04:15"
