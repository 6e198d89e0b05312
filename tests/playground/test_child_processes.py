"""Child processes end with their parent, whatever ends that; and until then they are as any others."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.child_processes import end, start_child
from tests.support.waits import until

ROOT = Path(__file__).parents[2]
STARTS_A_CHILD_WITH_A_CHILD_AND_IS_KILLED = """
import os, signal, sys, time
from pathlib import Path
from playground.child_processes import start_child
folder = Path(sys.argv[1])
child = "import os, subprocess, sys, time; open(str(os.getpid()), 'w').close()"
command = [sys.executable, "-c", child + "; subprocess.run(sys.argv[1:])"]
start_child([*command, sys.executable, "-c", child + "; time.sleep(600)", "x"], folder, {}, output=1)
while len(list(folder.iterdir())) < 2:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A child that prints what it reads, then a line, and returns 7."""
    code = "import sys; print(repr(sys.stdin.read())); print('é\\udc80'); sys.exit(7)"
    child = start_child(
        [sys.executable, "-c", code],
        tmp_path,
        {"PYTHONIOENCODING": "utf-8:surrogateescape"},
        output=subprocess.PIPE,
    )
    yield child
    end(child)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_all_that_a_child_started_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_A_CHILD_WITH_A_CHILD_AND_IS_KILLED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 2
    until(lambda: not any(map(runs, pids)))


def test_a_child_s_output_ends_and_its_exit_status_is_its_own(child: subprocess.Popen[str]) -> None:
    assert child.stdout
    assert child.stdout.read() == "''\né\N{REPLACEMENT CHARACTER}\n"
    assert child.wait() == 7


def test_a_child_that_is_ended_leaves_no_process_of_its_session(tmp_path: Path) -> None:
    child = start_child([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, {}, output=1)
    end(child)
    assert child.returncode in {-signal.SIGTERM, -signal.SIGKILL}
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
