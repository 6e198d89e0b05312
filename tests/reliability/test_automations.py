"""The automations for zombie runs with real workers: killed, suspended, completed; a server restarted."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events.filters import EventFilter
from prefect.settings import temporary_settings
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from playground.server import free_port, prefect_server, worker
from tests.support.automations import actions_of, create_automations
from tests.support.deployments import AUDIT, PROTECT, make_deploy, start
from tests.support.fixtures import MakeSandbox
from tests.support.machine import begin, kill_all, until

pytestmark = [pytest.mark.e2e, pytest.mark.reliability]

# Heartbeats come every 30 s at most, so the windows can be made this short and no shorter.
_WITHIN = {240: 60, 900: 60}
_SUSPENDING = """
from prefect import flow
from prefect.flow_runs import suspend_flow_run

@flow(name="protect-snapshots")
def suspending():
    suspend_flow_run(timeout=3600)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    kill_all(home)


async def deploy_test_flows(folder: Path) -> tuple[str, str]:
    """Deployments of a flow of ours, with the heartbeats of the others: runs that suspend, or never start."""
    (folder / "suspending.py").write_text(_SUSPENDING)
    steps = {
        "suspending": {"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}},
        "stuck": {"prefect.deployments.steps.run_shell_script": {"script": "sleep 3600"}},
    }
    async with get_client() as client:
        ours = await client.read_deployment_by_name(PROTECT)
        for name, step in steps.items():
            await client.create_deployment(
                ours.flow_id,
                name,
                work_pool_name=ours.work_pool_name,
                entrypoint="suspending.py:suspending",
                pull_steps=[step],
                job_variables=ours.job_variables,
            )
    return "protect-snapshots/suspending", "protect-snapshots/stuck"


async def state_name(run: FlowRun) -> str | None:
    async with get_client() as client:
        return (await client.read_flow_run(run.id)).state_name


async def events_of(run: FlowRun, name: str) -> int:
    """How many events are on record: those are not lost when the server is killed."""
    wanted = EventFilter.model_validate(
        {
            "event": {"name": [f"prefect.flow-run.{name}"]},
            "resource": {"id": [f"prefect.flow-run.{run.id}"]},
        }
    )
    async with get_client() as client:
        return len((await client.read_events(wanted, limit=50)).events)


async def until_named(run: FlowRun, name: str) -> None:
    async def is_named() -> bool:
        return await state_name(run) == name

    await until(is_named)


async def until_recorded(run: FlowRun, name: str, *, count: int = 1) -> None:
    async def are_there() -> bool:
        return await events_of(run, name) >= count

    await until(are_there)


async def test_runs_of_a_machine_that_died_are_marked_after_its_reboot_and_all_others_are_left_alone(
    make_sandbox: MakeSandbox, home: Path, tmp_path: Path
) -> None:
    sandbox = make_sandbox(snapshots=2, action_seconds=3_600)
    port = free_port()
    with (
        ExitStack() as workers,
        prefect_server(home, port=port) as server,
        temporary_settings(server.settings),
    ):
        make_deploy(server)
        create_automations(server, tmp_path, "zombie-runs", within=_WITHIN)
        suspending, stuck = await deploy_test_flows(tmp_path)
        block = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
        await block.asave("waiting")
        workers.enter_context(worker(server, tmp_path))
        completed = await start(AUDIT)
        suspended = await begin(suspending)
        running, pending = await begin(PROTECT), await begin(stuck)
        await until_recorded(suspended, "Suspended")
        await until_recorded(running, "heartbeat")
        await until_recorded(pending, "Submitting")
        kill_all(home)
    with prefect_server(home, port=port) as server, temporary_settings(server.settings):
        left = {run.id: await state_name(run) for run in (completed, suspended)}
        for run in (running, pending):
            await until_named(run, "Crashed")
        assert {run.id: await state_name(run) for run in (completed, suspended)} == left
        assert set(left.values()) == {"Completed", "Suspended"}

        async def are_recorded() -> bool:
            return len(await actions_of("executed")) > 1

        await until(are_recorded)
        assert sorted(await actions_of("executed")) == sorted([str(running.id), str(pending.id)])
        assert not await actions_of("failed")


async def test_a_run_that_lives_is_not_marked_when_the_server_was_restarted(
    make_sandbox: MakeSandbox, home: Path, tmp_path: Path
) -> None:
    sandbox = make_sandbox(snapshots=2, action_seconds=3_600)
    port = free_port()
    with ExitStack() as workers:
        with prefect_server(home, port=port) as server, temporary_settings(server.settings):
            make_deploy(server)
            create_automations(server, tmp_path, "zombie-runs", within={})
            block = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
            await block.asave("waiting")
            workers.enter_context(worker(server, tmp_path))
            running = await begin(PROTECT)
            await until_recorded(running, "heartbeat")
        with prefect_server(home, port=port) as server, temporary_settings(server.settings):
            before = await events_of(running, "heartbeat")
            await until_recorded(running, "heartbeat", count=before + 2)
            assert await state_name(running) == "Running"
            assert not await actions_of("executed")
            kill_all(home)
