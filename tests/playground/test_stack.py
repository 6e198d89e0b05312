"""`make playground` as a visitor uses it: what it prints, what the UI shows, the approval it waits for."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from playground.server import free_port
from tests.support.machine import kill_all, processes_of
from tests.support.waits import until

ROOT = Path(__file__).parents[2]
ANSWER = {"decision": "apply", "approved_by": "a visitor"}

pytestmark = pytest.mark.reliability


@contextmanager
def playground(home: Path) -> Iterator[str]:
    """Start it, and yield what it prints until it is ready; Ctrl-C ends it."""
    command = [sys.executable, "-m", "cli", "playground", "--home", str(home), "--port", str(free_port())]
    with (home.parent / "errors.log").open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert process.stdout
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Press Ctrl-C"):
                break
        assert printed.endswith("Press Ctrl-C to stop everything.\n"), (
            home.parent / "errors.log"
        ).read_text()
        yield printed
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        assert not processes_of(home)
    finally:
        process.kill()
        kill_all(home)


def state_of(api: httpx.Client, run_id: UUID) -> tuple[str, str]:
    state = api.get(f"/flow_runs/{run_id}").raise_for_status().json()["state"]
    return state["name"], state["message"] or ""


def latest(api: httpx.Client, key: str) -> dict[str, Any]:
    wanted = {"artifacts": {"key": {"any_": [key]}}}
    [found] = api.post("/artifacts/latest/filter", json=wanted).raise_for_status().json()
    return dict(found)


def test_a_visitor_finds_an_exempt_snapshot_and_a_run_to_approve(tmp_path: Path) -> None:
    with playground(tmp_path / "ui") as printed:
        assert "8 unprotected (2 new), 1 exempt, 1 missing" in printed
        assert printed.count("  Suspended\n") == 2
        assert "waits for your approval" in printed
        found = re.search(r"(http\S+)/runs/flow-run/(\S+)\n", printed)
        assert found
        url, run_id = found[1], UUID(found[2])
        with httpx.Client(base_url=f"{url}/api") as api:
            assert state_of(api, run_id)[0] == "Suspended"
            assert "shop ci\\\\-1 build 4711" in latest(api, "audited-snapshots-prod")["data"]
            assert "rule 'CI builds'" in latest(api, "snapshot-audit-summary")["data"]
            assert "Waits for approval" in latest(api, "unprotect-plan-prod")["data"]
            api.post(f"/flow_runs/{run_id}/resume", json={"run_input": ANSWER}).raise_for_status()
            until(lambda: state_of(api, run_id)[0] in {"Completed", "Failed", "Crashed"})
            name, message = state_of(api, run_id)
            assert (name, message[:35]) == ("Completed", "2 snapshots of prod: 2 unprotected;")
