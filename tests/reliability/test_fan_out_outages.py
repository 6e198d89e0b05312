"""Fan-out while the Prefect server is away, and when a machine with a batch dies: one report tells of all."""

import asyncio
import os
import signal
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import temporary_settings
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from flows._batch_decisions import Patience
from flows.protect_on_workers import protect_on_workers
from playground.server import PrefectServer, free_port, prefect_server, worker
from sandbox import ManualClock, Sandbox
from tests.support.deployments import BATCH, FAN_OUT, finished, make_deploy, runs_of, state_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import log_of, run
from tests.support.machine import begin, until
from tests.support.protection_runs import unprotected
from tests.support.worker_processes import process_of

pytestmark = [pytest.mark.e2e, pytest.mark.reliability]

_AWAY_SECONDS = 110.0  # Prefect's client tries again for about a minute
_PATIENCE_SECONDS = 300.0


async def until_polled(*sandboxes: Sandbox) -> None:
    async def polled() -> bool:
        return all(sandbox.calls("list_actions") for sandbox in sandboxes)

    await until(polled)


async def test_every_batch_is_gathered_after_the_prefect_server_was_away_for_minutes(
    make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    clock = ManualClock()
    sandboxes = [
        make_sandbox(snapshots=2, action_seconds=60, clock=clock, first_image_id=first)
        for first in (200_000_001, 300_000_001)
    ]
    port = free_port()
    home = tmp_path / "home"
    with ExitStack() as workers:
        with prefect_server(home, port=port) as server, temporary_settings(server.settings):
            make_deploy(server)
            for number, sandbox in enumerate(sandboxes):
                block = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
                await block.asave(f"away-{number}")
            workers.enter_context(worker(server, tmp_path))
            parent = await begin(FAN_OUT, projects_per_run=1)
            await until_polled(*sandboxes)
        clock.advance(60)
        await asyncio.sleep(_AWAY_SECONDS)
        with prefect_server(home, port=port) as server, temporary_settings(server.settings):
            done = await finished(parent.id, patience_seconds=_PATIENCE_SECONDS)
            assert state_of(done) == (
                "COMPLETED",
                "4 of 4 snapshots protected in 2 projects (4 newly protected, 0 already protected)",
            )
            assert "Polling the batches again" in await log_of(parent.id, until="Polling the batches again")
            workers.close()


@pytest.mark.usefixtures("nothing_deployed")
async def test_a_batch_whose_machine_dies_is_started_again_without_any_automation(
    prefect_api: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    clock = ManualClock()
    sandbox = make_sandbox(snapshots=2, action_seconds=60, clock=clock)
    save_project("dying", sandbox)
    make_deploy(prefect_api)
    (tmp_path / "first").mkdir()
    with worker(prefect_api, tmp_path, limit=1):
        parent = await begin(FAN_OUT, projects=["dying"])

        async def in_progress() -> int | None:
            return process_of(parent.id)

        await until(in_progress)
        with worker(prefect_api, tmp_path / "first") as doomed:
            await until_polled(sandbox)
            [victim] = await runs_of(BATCH)
            for pid in (doomed.pid, process_of(victim.id)):
                assert pid
                os.kill(pid, signal.SIGKILL)
        clock.advance(60)
        with worker(prefect_api, tmp_path / "first"):
            done = await finished(parent.id, patience_seconds=_PATIENCE_SECONDS)
    assert state_of(done) == (
        "COMPLETED",
        "2 of 2 snapshots protected in 1 project (0 newly protected, 2 already protected)",
    )
    assert not unprotected(sandbox)
    assert sorted(state_of(one)[0] for one in await runs_of(BATCH)) == ["COMPLETED", "CRASHED"]
    assert "Starting it again" in await log_of(parent.id, until="Starting it again")


@pytest.mark.usefixtures("nothing_deployed")
async def test_a_batch_whose_worker_dies_while_it_is_pending_is_started_again_on_another(
    prefect_api: PrefectServer,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    sandbox = make_sandbox(snapshots=3, action_seconds=1)
    save_project("pending", sandbox)
    make_deploy(prefect_api)
    impatient = replace(Patience.for_timeout(900), start_seconds=10)
    monkeypatch.setattr(Patience, "for_timeout", lambda _: impatient)
    fan_out = asyncio.create_task(run(protect_on_workers, projects=["pending"]))
    with worker(prefect_api, tmp_path) as doomed:
        victim = await until_pending()
        os.kill(doomed.pid, signal.SIGKILL)
        if pid := process_of(victim.id):
            os.kill(pid, signal.SIGKILL)
    with worker(prefect_api, tmp_path):
        done = await fan_out
    assert (
        done.state.message
        == "3 of 3 snapshots protected in 1 project (3 newly protected, 0 already protected)"
    )
    assert {one.id: state_of(one)[0] for one in await runs_of(BATCH)}[victim.id] == "CRASHED"
    assert not unprotected(sandbox)


async def until_pending() -> FlowRun:
    async def pending() -> FlowRun | None:
        deployed = await runs_of(BATCH)
        return next((one for one in deployed if one.state and one.state.is_pending()), None)

    return await until(pending)
