"""The temporary Prefect server of a run on a new machine: quiet, patient, and its failure is named."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.fixtures import TOKEN, MakeSandbox
from tests.support.machine import kill_all, processes_of
from tests.support.migrated_database import make_home
from tests.support.shell import ROOT
from tests.support.waits import until

pytestmark = pytest.mark.e2e


def protect(home: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """In a new home, without any variable but the given ones."""
    return subprocess.run(
        [sys.executable, "-m", "flows.protect_snapshots"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "HCLOUD_TOKEN": TOKEN, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_in_a_new_home_is_quiet_also_behind_a_proxy(tmp_path: Path, make_sandbox: MakeSandbox) -> None:
    sandbox = make_sandbox(snapshots=3)
    proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": ""}
    done = protect(tmp_path, {"HCLOUD_ENDPOINT": sandbox.endpoint, **proxy})
    assert done.returncode == 0, done.stderr
    for noise in ("Traceback", "WARNING", "ERROR"):
        assert noise not in done.stderr
    assert "Completed: 3 of 3 snapshots protected" in done.stdout


def test_a_server_that_ends_while_it_starts_is_reported_at_once_with_its_variable(tmp_path: Path) -> None:
    done = protect(tmp_path, {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "nonsense"})
    assert done.returncode == 1
    assert "The temporary Prefect server did not start (sqlalchemy.exc.ArgumentError" in done.stderr
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_the_command_however_that_ends(
    tmp_path: Path, make_sandbox: MakeSandbox, kind: signal.Signals
) -> None:
    sandbox, home = make_sandbox(snapshots=3, latency_seconds=5), make_home(tmp_path / "home")
    environment = {"HCLOUD_TOKEN": TOKEN, "HCLOUD_ENDPOINT": sandbox.endpoint, "PREFECT_HOME": str(home)}
    command = subprocess.Popen(
        [sys.executable, "-m", "flows.protect_snapshots"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: sandbox.requests)
        command.send_signal(kind)
        command.wait()
        until(lambda: not processes_of(home))
    finally:
        kill_all(home)
        command.wait()
