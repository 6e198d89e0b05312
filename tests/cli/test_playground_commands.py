"""A folder or a port that the demo and the playground cannot use is one line, before anything is started."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shell import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done


@pytest.mark.parametrize("command", ["demo", "playground"])
@pytest.mark.parametrize("home", ["file", "file/below"])
def test_a_home_that_is_no_folder_is_said(tmp_path: Path, command: str, home: str) -> None:
    (tmp_path / "file").touch()
    done = run(command, "--home", str(tmp_path / home))
    assert done.returncode == 1
    assert done.stderr.startswith(f"Failed: --home: no files can be written to {tmp_path / home} ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["0", "99999", "-1", "abc"])
def test_a_port_that_does_not_exist_is_a_wrong_command_line(port: str) -> None:
    done = run("playground", f"--port={port}")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: Invalid value")
    assert "--port" in done.stderr
