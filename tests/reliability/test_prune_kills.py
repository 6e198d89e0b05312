"""A prune run is killed, or told to end: one protection run later every survivor is protected."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.settings import temporary_settings
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer, prefect_server
from records.pruned_snapshots import load_pruned
from sandbox import Sandbox
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import run
from tests.support.migrated_database import make_home
from tests.support.prune_runs import PruneProject, make_prune_project, prune_report_of
from tests.support.shell import ROOT, environment_of
from tests.support.waits import until, until_async

pytestmark = pytest.mark.e2e

_CANDIDATES = 2
_PLANNED = 3  # requests: the lists of snapshots and servers, the prices
_SELDOM = pytest.mark.reliability  # a process each; the model in one process tries every request
_POINTS = [*range(_PLANNED, _PLANNED + 8 * _CANDIDATES)]  # lists, change, polls, get, deletion, get


def begin(server: PrefectServer, project: PruneProject, log: Path) -> subprocess.Popen[bytes]:
    arguments = ["--project", project.name, "--policy", project.policy, "--apply", "--no-approval"]
    command = [sys.executable, "-m", "cli", "prune", *arguments]
    with log.open("w") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment_of(server), stdout=output, stderr=output)


def save_without_forgetting(name: str, sandbox: Sandbox) -> HetznerCloudCredentials:
    block = HetznerCloudCredentials(token=SecretStr(sandbox.token), endpoint=sandbox.endpoint)
    block.save(name, _sync=True)
    return block


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a run for gone at once; the Prefect server tells the time in whole seconds."""
    for name in ("GONE_AFTER", "FINISHED_GONE_AFTER"):
        monkeypatch.setattr(f"records.prune_locks.{name}", timedelta(seconds=-2))


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize(
    "point", [pytest.param(one, marks=_SELDOM if one % 8 != 5 else ()) for one in _POINTS]
)
async def test_a_killed_run_leaves_one_unprotected_at_most_and_the_next_run_protects_it(
    engine: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, tmp_path: Path, point: int
) -> None:
    project = await make_prune_project(
        make_sandbox, save_project, candidates=_CANDIDATES, latency_seconds=0.02, action_seconds=0.1
    )
    await run(audit_snapshot_protection, projects=[project.name])
    await project.age()
    before = len(project.sandbox.requests)
    with begin(engine, project, tmp_path / "run.log") as process:
        until(lambda: len(project.sandbox.requests) >= before + point or process.poll() is not None)
        process.kill()
    assert len(project.sandbox.requests) >= before + point, (tmp_path / "run.log").read_text()
    assert len(project.unprotected) <= 1

    done = await project.prune(max_deletions=1)
    assert not project.unprotected
    assert done.state.is_completed(), done.state.message
    assert prune_report_of(done).succeeded
    gone = set(project.candidates) - set(project.left)
    assert gone == set(await load_pruned(project.name))
    audited = await run(audit_snapshot_protection, projects=[project.name])
    [audit] = audited.result.projects
    assert {one.image_id for one in audit.findings if one.finding == "pruned"} == gone
    assert not audit.missing_protected


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("action_seconds", [pytest.param(0, marks=_SELDOM), 3])
async def test_one_protection_run_protects_what_a_killed_run_has_left(
    engine: PrefectServer,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    tmp_path: Path,
    action_seconds: float,
) -> None:
    project = await make_prune_project(
        make_sandbox, save_project, latency_seconds=0.05, action_seconds=action_seconds
    )
    await project.age()
    with begin(engine, project, tmp_path / "run.log") as process:
        until(lambda: project.sandbox.state.actions() or process.poll() is not None)
        process.kill()
    done = await run(protect_snapshots, projects=[project.name], policy=project.policy)
    assert done.state.is_completed(), done.state.message
    actions = project.sandbox.state.actions()
    assert not [one for one in actions if one.is_running(project.sandbox.clock())]
    assert not project.unprotected


@pytest.mark.parametrize(
    ("number", "after"),
    [
        (signal.SIGTERM, "change_image_protection"),
        (signal.SIGINT, "get_image"),
        pytest.param(signal.SIGTERM, "get_image", marks=_SELDOM),
        pytest.param(signal.SIGINT, "change_image_protection", marks=_SELDOM),
        pytest.param(signal.SIGHUP, "change_image_protection", marks=_SELDOM),
        pytest.param(signal.SIGHUP, "get_image", marks=_SELDOM),
    ],
    ids=str,
)
async def test_a_run_that_is_told_to_end_protects_again_before_it_does(
    engine: PrefectServer,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    tmp_path: Path,
    number: signal.Signals,
    after: str,
) -> None:
    project = await make_prune_project(
        make_sandbox, save_project, latency_seconds=0.1, action_seconds=0.3 if after != "get_image" else 0
    )
    await project.age()
    with begin(engine, project, tmp_path / "run.log") as process:
        await until_async(lambda: project.sandbox.calls(after) or process.poll() is not None)
        os.kill(process.pid, number)
        await until_async(lambda: process.poll() is not None)
    printed = (tmp_path / "run.log").read_text()
    assert process.returncode == 128 + number, printed
    assert not project.unprotected, printed
    assert project.newest in project.left


@_SELDOM  # it starts a Prefect server
async def test_a_run_whose_prefect_server_goes_away_leaves_nothing_unprotected(
    make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(prefect_server(make_home(tmp_path / "home")))
        with temporary_settings(server.settings):
            project = await make_prune_project(
                make_sandbox, save_without_forgetting, latency_seconds=0.02, action_seconds=1
            )
            await project.age()
        process = begin(server, project, tmp_path / "run.log")
        with process:
            await until_async(lambda: project.unprotected or process.poll() is not None)
            await asyncio.to_thread(stack.close)
            await until_async(lambda: not project.unprotected)
            process.kill()  # Prefect tries for minutes to record its state
    printed = (tmp_path / "run.log").read_text()
    assert project.sandbox.calls("change_image_protection"), printed
    assert not project.unprotected, printed
