"""Projects in flow runs of their own: whatever becomes of those runs, each project is reported once."""

import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run

from flows.protect_on_workers import protect_on_workers
from hetzner_cloud.errors import InvalidArgumentError
from playground.server import PrefectServer, worker
from records.batch_reports import find_report
from reporting.artifacts import publish
from sandbox import ManualClock, Sandbox
from snapshot_protection.protection_report import ProtectionReport
from snapshot_protection.rendering import render_protection_report
from tests.support.deployments import FAN_OUT, finished, make_deploy
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, log_of, table_in
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
        ({"projects_per_run": 0}, "number of projects in a run must be 1 or more, not 0"),
        ({"max_concurrent_runs": -1}, "number of runs at once must be 1 or more"),
        ({"timeout_seconds": 0}, "time-out must be more than 0"),
        ({"label_selector": "a in (b"}, "label selector"),
        ({"projects": ["nobody"]}, "named 'nobody'. Known projects: 'prod'"),
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


async def runs_of(parent: FlowRun) -> list[FlowRun]:
    wanted = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [parent.id]}})
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=wanted)


def waits_once_more(sandbox: Sandbox) -> bool:
    """A second run has listed the snapshots and sent its changes."""
    return len(sandbox.calls("list_images")) > 1 and sandbox.requests[-1].operation == "list_actions"


async def start(**parameters: object) -> FlowRun:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(FAN_OUT)
        return await client.create_flow_run_from_deployment(deployment.id, parameters=parameters)


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
        parent = await start(projects_per_run=1)
        await until_async(lambda: killed.calls("list_actions"))
        [victim] = [part for part in await runs_of(parent) if part.parameters["projects"] == ["killed"]]
        pid = process_of(victim.id)
        assert pid
        os.kill(pid, signal.SIGKILL)
        await until_async(lambda: waits_once_more(killed))
        clock.advance(60)
        done = await finished(parent.id)
    assert done.state
    assert done.state.message == "14 of 14 snapshots protected in 2 projects (14 now, 0 before)"
    parts = await runs_of(parent)
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
