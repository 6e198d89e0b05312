"""Runs killed, cancelled, or without their Prefect server: nothing untrue is said, the next one ends it."""

import asyncio
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import temporary_settings
from prefect.states import Cancelling

from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer, free_port, prefect_server, worker
from sandbox import ManualClock, Sandbox
from tests.support.deployments import PROTECT, finished, make_deploy
from tests.support.figures import RecordFigure
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, eventually, read_log, run, table_in
from tests.support.migrated_database import make_home
from tests.support.protection_runs import outcomes_of, unprotected
from tests.support.shell import COMMAND, ROOT, environment_of
from tests.support.waits import _PATIENCE_SECONDS, runs_named, until, until_async

pytestmark = pytest.mark.e2e

_SNAPSHOTS = 16
_AFTER_REQUEST = [*range(1, _SNAPSHOTS + 5)]  # the list, each change, and three polls
_POINTS = [
    *(pytest.param(one, marks=pytest.mark.reliability if one % 3 else ()) for one in _AFTER_REQUEST),
    "verify",
    "report",
]


def begin(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("w") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


def reached(sandbox: Sandbox, point: int | str) -> bool:
    """Every other point is when a request has come, the others are when it is answered."""
    if isinstance(point, str):
        looks = sandbox.calls("list_images")
        return len(looks) > 1 and (point == "verify" or looks[1].finished is not None)
    if point > len(sandbox.requests):
        return False
    return point % 2 == 0 or sandbox.requests[point - 1].finished is not None


async def assert_nothing_untrue_is_on_record(flow_run: FlowRun, sandbox: Sandbox) -> None:
    done = flow_run.state is not None and flow_run.state.is_completed()
    assert not done or not unprotected(sandbox)
    tables = [one for one in await artifacts_of(flow_run.id) if one.type == "table"]
    for row in table_in(tables) if tables else []:
        if row["outcome"] in {"protected", "already_protected"}:
            assert sandbox.images[row["snapshot"]]["protection"]["delete"]


async def assert_the_next_run_ends_it(project: str, sandbox: Sandbox) -> None:
    done = await run(protect_snapshots, projects=[project])
    assert done.state.is_completed(), done.state.message
    assert set(outcomes_of(done).values()) <= {"protected", "already_protected"}
    assert not unprotected(sandbox)


@pytest.mark.parametrize("point", _POINTS)
async def test_a_killed_run_says_nothing_untrue_and_the_next_one_ends_it(
    engine: PrefectServer,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    record_figure: RecordFigure,
    tmp_path: Path,
    point: int | str,
) -> None:
    sandbox = make_sandbox(snapshots=_SNAPSHOTS, latency_seconds=0.02, action_seconds=0.3)
    project = f"killed-{point}"
    save_project(project, sandbox)
    environment = environment_of(engine, HETZNER_CLOUD_MAX_CONCURRENT_REQUESTS="2")
    with begin([*COMMAND, "--project", project], environment, tmp_path / "run.log") as process:
        until(lambda: reached(sandbox, point))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    protected = _SNAPSHOTS - len(unprotected(sandbox))

    [killed] = await runs_named(f"protect-{project}")
    await assert_nothing_untrue_is_on_record(killed, sandbox)
    await assert_the_next_run_ends_it(project, sandbox)
    assert killed.state
    record_figure("kills", point=str(point), protected_then=protected, state_then=killed.state.name)
    async with get_client() as client:
        await client.delete_flow_run(killed.id)  # or each later audit names it


async def test_a_run_outlives_a_restart_of_the_prefect_server(
    make_sandbox: MakeSandbox, tmp_path: Path, record_figure: RecordFigure
) -> None:
    sandbox = make_sandbox(snapshots=40, latency_seconds=0.1, action_seconds=1)
    port = free_port()
    with ExitStack() as first:
        server = first.enter_context(prefect_server(make_home(tmp_path / "home"), port=port))
        environment = environment_of(
            server,
            HETZNER_CLOUD_MAX_CONCURRENT_REQUESTS="1",
            HCLOUD_TOKEN=sandbox.token,
            HCLOUD_ENDPOINT=sandbox.endpoint,
        )
        process = begin(COMMAND, environment, tmp_path / "run.log")
        await until_async(lambda: len(sandbox.calls("change_image_protection")) > 5)
        await asyncio.to_thread(first.close)
    changed_while_away = len(sandbox.calls("change_image_protection"))
    with prefect_server(tmp_path / "home", port=port) as server, temporary_settings(server.settings):
        status = await asyncio.to_thread(process.wait, _PATIENCE_SECONDS * 2)
        printed = (tmp_path / "run.log").read_text()
        assert status == 0, printed
        assert "Completed: 40 of 40 snapshots protected" in printed
        assert not unprotected(sandbox)

        async def read() -> list[FlowRun]:
            return await runs_named("protect-all-projects")

        [record] = await eventually(
            read, lambda found: any(one.state and one.state.is_final() for one in found)
        )
        assert record.state
        assert record.state.is_completed()
    record_figure("restart", changes_sent_before=changed_while_away, state=record.state.name)


async def start_and_cancel(project: str, when: Callable[[], object]) -> FlowRun:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(PROTECT)
        begun = await client.create_flow_run_from_deployment(
            deployment.id, parameters={"projects": [project]}
        )
        await until_async(when)
        await client.set_flow_run_state(begun.id, Cancelling(), force=True)
    return await finished(begun.id)


def named_in(log: str, sandbox: Sandbox) -> set[int]:
    """The snapshots of which the log names the action that was started, or that it may have been."""
    return {
        action["resources"][0]["id"]
        for action in sandbox.actions
        if f"action {action['id']} (" in log or f"Snapshot {action['resources'][0]['id']}: cancelled" in log
    }


def names_all(log: str, sandbox: Sandbox, *, waits: bool) -> bool:
    """Whether the log names all that was started, and what a wait was for: its last lines come late."""
    started = {action["resources"][0]["id"] for action in sandbox.actions}
    return named_in(log, sandbox) == started and ("still running: action" in log) is waits


@pytest.mark.usefixtures("nothing_deployed")
async def test_a_run_cancelled_from_the_api_names_what_it_started(
    prefect_api: PrefectServer,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    tmp_path: Path,
    record_figure: RecordFigure,
) -> None:
    changing = make_sandbox(snapshots=400, latency_seconds=0.5, first_image_id=200_000_001)
    clock = ManualClock()
    waiting = make_sandbox(snapshots=3, action_seconds=60, first_image_id=300_000_001, clock=clock)
    save_project("cancelled-changing", changing)
    save_project("cancelled-waiting", waiting)
    make_deploy(prefect_api)
    with worker(prefect_api, tmp_path):
        first = await start_and_cancel(
            "cancelled-changing", lambda: len(changing.calls("change_image_protection")) > 25
        )
        second = await start_and_cancel("cancelled-waiting", lambda: waiting.calls("list_actions"))
    for done, sandbox, project in (
        (first, changing, "cancelled-changing"),
        (second, waiting, "cancelled-waiting"),
    ):
        assert done.state
        assert done.state.name == "Cancelled"
        whole = partial(names_all, sandbox=sandbox, waits=sandbox is waiting)
        named = named_in(await eventually(partial(read_log, done.id), whole), sandbox)
        record_figure("cancels", when=project, actions_started=len(sandbox.actions), named=len(named))
        await assert_nothing_untrue_is_on_record(done, sandbox)
    clock.advance(60)
    await assert_the_next_run_ends_it("cancelled-waiting", waiting)
