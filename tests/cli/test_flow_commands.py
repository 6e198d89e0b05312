"""The flow from the shell, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.fixtures import TOKEN, MakeSandbox, SaveProject
from tests.support.shell import COMMAND, ROOT, environment_of, from_the_shell, protect

pytestmark = pytest.mark.e2e  # each runs the command as a process


def audit(server: PrefectServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return from_the_shell(server, sys.executable, "-m", "flows.audit_snapshot_protection", *arguments)


def test_help_names_every_parameter(engine: PrefectServer) -> None:
    done = protect(engine, "--help")
    assert done.returncode == 0
    for option in ("--project", "--label-selector", "--dry-run", "--timeout-seconds", "--policy"):
        assert option in done.stdout


def test_the_table_and_the_exit_status_tell_when_all_is_protected(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox)
    done = protect(engine, "--project", "prod")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (
        lines[-1]
        == "Completed: 6 of 6 snapshots protected in 1 project (4 newly protected, 2 already protected)"
    )
    rows = [line.split() for line in lines if line.startswith("prod")]
    assert len(rows) == 6
    assert all(
        image["protection"]["delete"] for image in sandbox.images.values() if image["type"] == "snapshot"
    )
    for noise in ("Traceback", "WARNING", "ERROR"):
        assert noise not in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_the_exit_status_is_1_and_the_reason_comes_last_when_something_failed(
    engine: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, creating=1)
    save_project("prod", sandbox)
    done = protect(engine, "--project", "prod")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Failed: 2 of 3 snapshots protected in 1 project")
    assert [line for line in done.stdout.splitlines() if line.startswith("unfinished: ")]
    assert "Traceback" not in done.stderr


def test_json_is_all_that_is_on_standard_output_and_the_log_is_on_standard_error(
    engine: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, creating=1)
    save_project("prod", sandbox)
    done = protect(engine, "--project", "prod", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["succeeded"] is False
    assert document["message"] in done.stderr.splitlines()[-1]
    [project] = document["report"]["projects"]
    outcomes = sorted(one["outcome"] for one in project["snapshots"])
    assert outcomes == ["protected", "protected", "unfinished"]
    assert "Beginning flow run" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--project", "unknown"], "named 'unknown'"),
        (["--label-selector", "a b"], "label selector"),
        (["--policy", "nothing"], "named 'nothing'"),
    ],
)
def test_a_bad_argument_is_told_in_one_line_at_the_end(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox, arguments: list[str], reason: str
) -> None:
    save_project("prod", sandbox)
    done = protect(engine, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Failed: ")
    assert reason in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not sandbox.requests


def test_the_environment_s_token_is_taken_when_no_block_is_saved(
    engine: PrefectServer, sandbox: Sandbox
) -> None:
    done = protect(engine, HCLOUD_TOKEN=TOKEN, HCLOUD_ENDPOINT=sandbox.endpoint)
    assert done.returncode == 0, done.stderr
    assert "Using HCLOUD_TOKEN as the project 'environment'" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_a_run_protects_all_when_the_reader_of_its_output_has_left(
    engine: PrefectServer, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("prod", sandbox)
    reader, writer = os.pipe()
    os.close(reader)
    command = [*COMMAND, "--project", "prod"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of(engine), stdout=writer, stderr=writer, check=False
    )
    os.close(writer)
    assert done.returncode == 0
    assert all(
        image["protection"]["delete"] for image in sandbox.images.values() if image["type"] == "snapshot"
    )


@pytest.mark.parametrize(("kind", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_names_what_it_started(
    engine: PrefectServer,
    save_project: SaveProject,
    make_sandbox: MakeSandbox,
    kind: signal.Signals,
    status: int,
) -> None:
    sandbox = make_sandbox(snapshots=2, action_seconds=600)
    save_project("prod", sandbox)
    command = [*COMMAND, "--project", "prod"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment_of(engine), stderr=subprocess.PIPE, text=True
    ) as process:
        while not sandbox.calls("list_actions"):
            time.sleep(0.01)
        process.send_signal(kind)
        _, told = process.communicate()
    assert process.returncode == status
    for action in sandbox.actions:
        assert f"action {action['id']} (change_protection) of image {action['resources'][0]['id']} at" in told
    assert told.splitlines()[-1].startswith("Failed: interrupted.")
    assert "Traceback" not in told


def test_an_audit_shows_what_to_look_at_the_worst_last(
    engine: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=4, protected=3)
    save_project("shell-audit", sandbox)
    assert audit(engine, "--project", "shell-audit").returncode == 0
    removed, *_, bare = sorted(sandbox.images)
    sandbox.set_protection(removed, delete=False)

    done = audit(engine, "--project", "shell-audit", "--fail-on-unprotected")

    assert done.returncode == 1
    rows = [line for line in done.stdout.splitlines() if line.startswith("shell-audit")]
    assert [(str(bare) in rows[0], str(removed) in rows[1], len(rows))] == [(True, True, 2)]
    assert "newly unprotected" in rows[1]
    assert done.stderr.splitlines()[-1].startswith("Failed: 2 of 4 snapshots protected in 1 project")
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_the_audit_s_help_names_every_parameter(engine: PrefectServer) -> None:
    done = audit(engine, "--help")
    assert done.returncode == 0
    for option in ("--project", "--label-selector", "--grace-hours", "--fail-on-unprotected"):
        assert option in done.stdout
