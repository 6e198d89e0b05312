"""The flows as processes, started from the shell."""

import os
import subprocess
import sys
from pathlib import Path

from playground.server import PrefectServer

ROOT = Path(__file__).parents[2]


COMMAND = [sys.executable, "-m", "flows.protect_snapshots"]


def environment_of(server: PrefectServer, **more: str) -> dict[str, str]:
    times = {name: value for name, value in os.environ.items() if name.startswith("HETZNER_CLOUD_")}
    return {**server.environment, **times, **more}


def protect(server: PrefectServer, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return from_the_shell(server, *COMMAND, *arguments, **environment)


def from_the_shell(
    server: PrefectServer, *command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment_of(server, **environment),
        capture_output=True,
        text=True,
        check=False,
    )
