"""Output that cannot be written never ends a command, nor a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shell import ROOT

PRINTS = """
import sys
from rich.console import Console
from cli.output import prepare_streams
prepare_streams()
for _ in range(500):
    print("äöü … 🔴 \\ud83d", flush=True)
    Console().print("äöü … 🔴 \\ud83d")
    Console(stderr=True).print("äöü … 🔴 \\ud83d")
sys.exit(7)
"""


def started(**environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PRINTS],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_process_goes_on_when_the_reader_of_its_output_has_left() -> None:
    process = started()
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    process.stderr.close()
    assert process.wait() == 7


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_character_that_the_encoding_lacks_is_replaced(encoding: str) -> None:
    output, errors = started(PYTHONIOENCODING=encoding).communicate()
    assert b"Traceback" not in errors
    assert "?" in output.decode(encoding).splitlines()[0]
    assert ("ä" in output.decode(encoding)) is (encoding != "ascii")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
def test_a_process_goes_on_when_nothing_can_be_written() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", PRINTS], cwd=ROOT, stdout=full, stderr=full, check=False)
    assert done.returncode == 7


def test_a_process_goes_on_when_its_standard_streams_are_closed() -> None:
    command = f"exec {sys.executable} -c '{PRINTS}' <&- >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, check=False).returncode == 7
