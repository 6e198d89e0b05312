"""Projects in flow runs of their own: whatever becomes of those runs, each project is reported once."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Cancelling

from blocks.credentials import HetznerCloudCredentials
from flows._batch_decisions import Patience
from flows.protect_on_workers import protect_on_workers
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer, worker
from records.batch_reports import find_report
from reporting.artifacts import publish
from sandbox import ManualClock, Sandbox
from snapshot_protection.protection_report import ProtectionReport
from snapshot_protection.rendering import render_protection_report
from tests.support.deployments import (
    BATCH,
    FAN_OUT,
    batch_deployed,
    finished,
    make_deploy,
    runs_of,
    state_of,
)
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, log_of, run, table_in
from tests.support.machine import begin, until
from tests.support.protection_runs import unprotected
from tests.support.scripted_runs import report_on
from tests.support.waits import until_async
from tests.support.worker_processes import process_of


async def test_the_last_report_is_found_when_a_run_was_started_again(engine: PrefectServer) -> None:
    @flow
    async def part_of_a_run(*, names: list[list[str]]) -> UUID:
        for each in names:
            await publish(render_protection_report(report_on(each), is_whole=False))
        return UUID(flow_run.id)

    tries = [["one"], ["two"], ["three"], ["four"], ["five"], ["last"]]
    flow_run_id = await part_of_a_run(names=tries)
    async with get_client() as client:
        assert await find_report(client, flow_run_id) == report_on(["last"])


def test_a_report_survives_being_packed_into_a_page() -> None:
    report = report_on(["a", "<!-- --> b"])
    assert ProtectionReport.load(f"# Summary\n\n{report.dump()}\n") == report


@pytest.mark.parametrize(
    "page", ["", "# Summary", "<!-- protection-report AA -->", report_on([]).dump()[:-9]]
)
def test_a_page_without_a_readable_report_has_none(page: str) -> None:
    assert ProtectionReport.load(page) is None


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"projects_per_run": -1}, "number of projects in a run must be 0 or more, not -1"),
        ({"max_concurrent_runs": -1}, "number of runs at once must be 1 or more"),
        ({"timeout_seconds": 0}, "timeout must be more than 0"),
        ({"label_selector": "a in (b"}, "label selector"),
        ({"projects": ["unknown"]}, "named 'unknown'. Available projects: 'prod'"),
        ({}, "There is no deployment protect-snapshots/batch: run `make deploy`"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.usefixtures("nothing_deployed")
async def test_bad_input_is_told_before_anything_is_started(
    save_project: SaveProject, make_sandbox: MakeSandbox, parameters: dict[str, Any], text: str
) -> None:
    sandbox = make_sandbox(snapshots=1)
    save_project("prod", sandbox)
    with pytest.raises(InvalidArgumentError, match=text):
        await protect_on_workers(**parameters)
    assert not sandbox.requests


def waits_once_more(sandbox: Sandbox) -> bool:
    """A second run has listed the snapshots and sent its changes."""
    return len(sandbox.calls("list_images")) > 1 and sandbox.requests[-1].operation == "list_actions"


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_deployed")
async def test_a_batch_that_no_worker_takes_is_warned_of_cancelled_and_reported(
    save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project("no-worker", make_sandbox(snapshots=1))
    impatient = replace(Patience.for_timeout(900), warn_seconds=1, work_seconds=8)
    monkeypatch.setattr(Patience, "for_timeout", lambda _: impatient)
    async with get_client() as client, batch_deployed(client) as pool:
        done = await run(protect_on_workers, projects=["no-worker"])
        [batch] = await runs_of(BATCH)
    assert done.state.is_failed()
    advice = f"no worker is online; start one: `prefect worker start --pool {pool} --limit 5`"
    assert advice in str(done.state.message)
    assert f"({batch.id}) published no report (state: Cancelled: " in str(done.state.message)
    assert state_of(batch)[0] == "CANCELLED"
    assert batch.parameters["policy"] == "default"
    log = await log_of(done.record.id, until="is given up")
    assert log.count(f"({batch.id}) waits: work pool '{pool}'") == 1


@pytest.mark.e2e
@pytest.mark.usefixtures("nothing_deployed")
async def test_a_project_whose_block_is_deleted_before_its_batch_begins_stops_no_other_of_the_batch(
    prefect_api: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    sandbox = make_sandbox(snapshots=3)
    await save_project("kept", sandbox).asave("deleted")
    make_deploy(prefect_api)
    fan_out = asyncio.create_task(run(protect_on_workers, projects=["deleted", "kept"]))
    await until(lambda: runs_of(BATCH))
    await HetznerCloudCredentials.adelete("deleted")
    with worker(prefect_api, tmp_path):
        done = await fan_out
    assert "3 of 3 snapshots protected in 2 projects" in str(done.state.message)
    assert "project 'deleted' could not be read" in str(done.state.message)
    assert len(await runs_of(BATCH)) == 1
    assert not unprotected(sandbox)


@pytest.mark.e2e
@pytest.mark.usefixtures("nothing_deployed")
async def test_a_cancelled_run_cancels_its_batches_those_in_progress_and_those_that_wait(
    prefect_api: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    sandbox = make_sandbox(snapshots=2, action_seconds=60, clock=ManualClock())
    for name in ("cancelled-1", "cancelled-2"):
        save_project(name, sandbox)
    make_deploy(prefect_api)
    with worker(prefect_api, tmp_path, limit=2):
        parent = await begin(FAN_OUT, projects=["cancelled-1", "cancelled-2"], projects_per_run=1)
        await until_async(lambda: sandbox.calls("list_actions"))
        async with get_client() as client:
            await client.set_flow_run_state(parent.id, Cancelling())
        assert state_of(await finished(parent.id))[0] == "CANCELLED"
        batches = [await finished(one.id) for one in await runs_of(BATCH)]
    assert [state_of(one)[0] for one in batches] == ["CANCELLED"] * 2


@pytest.mark.e2e
@pytest.mark.usefixtures("nothing_deployed")
async def test_a_batch_that_is_killed_is_started_again_and_one_report_tells_of_all(
    prefect_api: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    clock = ManualClock()
    killed = make_sandbox(snapshots=9, action_seconds=60, first_image_id=200_000_001, clock=clock)
    other = make_sandbox(snapshots=5, action_seconds=1)
    save_project("killed", killed)
    save_project("other", other)
    make_deploy(prefect_api)
    with worker(prefect_api, tmp_path):
        parent = await begin(FAN_OUT, projects_per_run=1)
        await until_async(lambda: killed.calls("list_actions"))
        [victim] = [part for part in await runs_of(BATCH) if part.parameters["projects"] == ["killed"]]
        pid = process_of(victim.id)
        assert pid
        os.kill(pid, signal.SIGKILL)
        await until_async(lambda: waits_once_more(killed))
        clock.advance(60)
        done = await finished(parent.id)
    assert done.state
    assert (
        done.state.message
        == "14 of 14 snapshots protected in 2 projects (14 newly protected, 0 already protected)"
    )
    parts = await runs_of(BATCH)
    assert sorted(str(part.state and part.state.name) for part in parts) == [
        "Completed",
        "Completed",
        "Crashed",
    ]
    assert "Starting it again" in await log_of(parent.id, until="Starting it again")
    assert not unprotected(killed)
    assert not unprotected(other)
    tables = [one for one in await artifacts_of(parent.id) if one.type == "table"]
    assert {row["project"] for row in table_in(tables)} == {"killed", "other"}
    for part in parts:
        assert {one.key for one in await artifacts_of(part.id)} <= {None}
