"""From the command to the first request, compared with the smallest flow that loads the block."""

import subprocess
import sys
import time

from benchmarks.bench import PROJECT, Bench, project
from benchmarks.contenders.job import Job
from playground.server import ROOT


def measure(bench: Bench) -> None:
    """Measure both in turn."""
    smallest = str(Job("one request", bench.cloud.endpoint, [PROJECT]))
    commands = {
        "smallest flow": ["benchmarks.contenders.smallest_flow", smallest],
        "ours": ["flows.protect_snapshots", "--project", PROJECT],
    }
    for _ in range(bench.rounds * 2):
        for name, arguments in commands.items():
            bench.cloud.renew(project(1, protected=1))
            started = time.monotonic()
            subprocess.run(  # noqa: S603 - our own modules
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=bench.server.environment,
                check=True,
                capture_output=True,
            )
            first = bench.cloud.stats()["projects"][0]["started"]
            bench.record("start_up", contender=name, seconds=first - started)
