"""The machine reboots, or its Prefect server alone: the audits go on, and name what was interrupted."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import temporary_settings
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from playground.server import free_port, prefect_server, worker
from sandbox import Fault, ManualClock, Sandbox
from tests.support.deployments import AUDIT, BATCH, PROTECT, finished, make_deploy, runs_of, start
from tests.support.figures import RecordFigure
from tests.support.fixtures import MakeSandbox
from tests.support.flow_runs import artifacts_of
from tests.support.machine import _PATIENCE_SECONDS, begin, kill_all, processes_of, until
from tests.support.migrated_database import make_home
from tests.support.protection_runs import unprotected

pytestmark = pytest.mark.e2e

_INTERVAL = timedelta(seconds=20)
_NAMED_IN_MESSAGE = 5
_IN_PROGRESS = FlowRunFilter.model_validate(
    {"state": {"type": {"any_": [StateType.RUNNING, StateType.PENDING]}}}
)
_FINAL = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
_LONGER_THAN_A_LEASE_SECONDS = 320.0  # what Prefect leases to a run with a concurrency limit lasts 300 s


async def until_requested(sandbox: Sandbox, operation: str) -> None:
    async def requested() -> bool:
        return bool(sandbox.calls(operation))

    await until(requested)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose processes end with the test; a run that has just started may outlive its worker."""
    home = make_home(tmp_path / "home")
    yield home
    kill_all(home)


async def save(**sandboxes: Sandbox) -> None:
    for name, sandbox in sandboxes.items():
        block = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
        await block.asave(name)


async def audit_every(interval: timedelta) -> None:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(AUDIT)
        [schedule] = deployment.schedules
        often = IntervalSchedule(interval=interval, anchor_date=datetime.now(UTC))
        await client.update_deployment_schedule(deployment.id, schedule.id, schedule=often)


async def until_pending(begun: FlowRun) -> None:
    async def is_pending() -> bool:
        async with get_client() as client:
            return (await client.read_flow_run(begun.id)).state_type is StateType.PENDING

    await until(is_pending)


async def unfinished_since_before(moment: datetime) -> dict[UUID, FlowRun]:
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_run_filter=_IN_PROGRESS)
    return {run.id: run for run in runs if run.state and run.state.timestamp < moment}


def states_of(runs: Mapping[UUID, FlowRun]) -> dict[UUID, StateType | None]:
    return {run.id: run.state_type for run in runs.values()}


async def final_audits(*, until: str) -> list[FlowRun]:
    """The audits that the schedule has started and that are final, once the last one says what it is to."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            ended = [run for run in await runs_of(AUDIT) if run.auto_scheduled and run.state_type in _FINAL]
            ended.sort(key=lambda run: run.state.timestamp if run.state else datetime.now(UTC))
            if ended and (
                until in format_message(ended[-1]) or ended[-1].state_type is not StateType.COMPLETED
            ):
                return ended
            await asyncio.sleep(0.2)


def format_message(run: FlowRun) -> str:
    return (run.state and run.state.message) or ""


async def render_summary(run: FlowRun) -> str:
    [summary] = [one for one in await artifacts_of(run.id) if one.key == "snapshot-audit-summary"]
    return str(summary.data).replace("\\", "")


@contextmanager
def machine(home: Path, port: int, log: Path, *, deploy: bool = False) -> Iterator[None]:
    """What runs on a machine once it has booted: a Prefect server and a worker."""
    log.mkdir()
    with prefect_server(home, port=port) as server, temporary_settings(server.settings):
        if deploy:
            make_deploy(server)
        with worker(server, log):
            yield


async def test_after_a_reboot_the_next_audit_is_completed_and_names_what_was_interrupted(
    make_sandbox: MakeSandbox, home: Path, tmp_path: Path, record_figure: RecordFigure
) -> None:
    clock = ManualClock()
    protecting = make_sandbox(snapshots=6, action_seconds=60, clock=clock)
    auditing = make_sandbox(snapshots=4, first_image_id=200_000_001)
    auditing.faults.add(Fault(kind="delay", operation="list_images", seconds=3600))
    port = free_port()
    with machine(home, port, tmp_path / "first", deploy=True):
        await save(protecting=protecting, auditing=auditing)
        await audit_every(_INTERVAL)
        running = await begin(PROTECT, projects=["protecting"])
        await until_requested(protecting, "list_actions")
        await until_requested(auditing, "list_images")
        pending = await begin(BATCH, projects=["protecting"])
        await until_pending(pending)
        assert len(processes_of(home)) >= 4  # the server, the worker, two runs
        kill_all(home)
        died = datetime.now(UTC)
    auditing.faults.clear()
    clock.advance(60)

    with machine(home, port, tmp_path / "second"):
        interrupted = await unfinished_since_before(died)
        assert {running.id: "RUNNING", pending.id: "PENDING"}.items() <= states_of(interrupted).items()
        assert [run for run in interrupted.values() if run.auto_scheduled]
        done = await start(PROTECT)
        assert (
            format_message(done)
            == "10 of 10 snapshots protected in 2 projects (4 newly protected, 6 already protected)"
        )
        audits = await final_audits(until=f"; {len(interrupted)} flow runs without a heartbeat")
        assert {run.state_type for run in audits} == {StateType.COMPLETED}
        message, summary = format_message(audits[-1]), await render_summary(audits[-1])
        assert f"({running.id}): Running since" in summary
        assert f"({pending.id}): {interrupted[pending.id].state_name} since" in summary
        assert all(str(one) in summary for one in interrupted)
        assert sum(str(one) in message for one in interrupted) == min(len(interrupted), _NAMED_IN_MESSAGE)
        assert states_of(await unfinished_since_before(died)) == states_of(interrupted)  # nothing ended them
        states = sorted(str(run.state_name) for run in interrupted.values())
        record_figure("reboot", interrupted=states, audit=audits[-1].state_name, message=message)
    assert not unprotected(protecting)
    assert not unprotected(auditing)


@pytest.mark.reliability
async def test_a_run_longer_than_a_lease_is_completed_after_the_server_was_restarted(
    make_sandbox: MakeSandbox, home: Path, tmp_path: Path, record_figure: RecordFigure
) -> None:
    sandbox = make_sandbox(snapshots=2, action_seconds=_LONGER_THAN_A_LEASE_SECONDS)
    port = free_port()
    with ExitStack() as workers:
        with prefect_server(home, port=port) as server, temporary_settings(server.settings):
            make_deploy(server)
            await save(waiting=sandbox)
            workers.enter_context(worker(server, tmp_path))
            begun = await begin(PROTECT)
            await until_requested(sandbox, "list_actions")
        with prefect_server(home, port=port) as server, temporary_settings(server.settings):
            done = await finished(begun.id, patience_seconds=2 * _LONGER_THAN_A_LEASE_SECONDS)
            assert done.state_type is StateType.COMPLETED, format_message(done)
            assert (
                format_message(done)
                == "2 of 2 snapshots protected in 1 project (2 newly protected, 0 already protected)"
            )
            record_figure("lease", seconds=round(done.total_run_time.total_seconds()), state=done.state_name)
            workers.close()
    assert done.total_run_time.total_seconds() > _LONGER_THAN_A_LEASE_SECONDS - 1
