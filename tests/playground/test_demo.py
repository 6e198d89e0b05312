"""`make demo` as a user runs it: twice, and nothing is left of it but its own folder."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


def processes_in(folder: Path) -> Iterator[str]:
    for status in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PREFECT_HOME={folder}".encode() in status.read_bytes():
                yield status.parent.name
        except OSError:  # it has finished, or is not ours
            continue


def test_the_demo_protects_all_is_quiet_and_leaves_nothing_running_when_run_twice(tmp_path: Path) -> None:
    home = tmp_path / "new" / "demo"
    for _ in range(2):
        command = [sys.executable, "-m", "cli", "demo", "--home", "new/demo"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (
            "Completed: 40 of 40 snapshots protected in 1 project (34 newly protected, 6 already protected)"
            in done.stdout
        )
        assert "The sandbox reports: 40 of 40 snapshots protected." in done.stdout
        assert done.stdout.splitlines()[-1].startswith("Next steps: ")
        assert done.stderr == ""
        assert (home / "prefect.db").exists()
        for noise in ("Traceback", "WARNING", "ERROR"):
            assert noise not in done.stdout
        if Path("/proc").exists():
            assert not list(processes_in(home))
