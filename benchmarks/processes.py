"""The processes of a benchmark: the stand-in for the cloud, and one for each contender's run."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders.job import Job
from playground.server import ROOT


class StandIn:
    """Projects in a process of their own, see `benchmarks.fake_cloud`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.endpoint: str = self._read()

    def renew(self, *projects: Mapping[str, Any]) -> None:
        """Make these projects, sandbox settings each, and forget all others."""
        self._ask(projects)

    def tell(self) -> dict[str, Any]:
        """What has happened since, see `benchmarks.fake_cloud.Cloud.tell`."""
        told: dict[str, Any] = self._ask(None)
        return told

    def _ask(self, command: object) -> Any:  # noqa: ANN401 - JSON
        if self._process.stdin is None:
            raise RuntimeError("The stand-in cannot be spoken to.")
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:  # noqa: ANN401 - JSON
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("The stand-in has ended.")
        return json.loads(line)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run a stand-in while the context lasts."""
    command = [sys.executable, "-m", "benchmarks.fake_cloud"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield StandIn(process)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Run:
    """What one contender's run came to.

    Attributes:
        seconds: The job's, without imports.
        process_seconds: The whole process's.
        peak_bytes: The most memory of the process.
        said: What the contender says of it, as a rule its flow run's id and state.
        cloud: What the stand-in says of it.
    """

    seconds: float
    process_seconds: float
    peak_bytes: int
    said: Mapping[str, str]
    cloud: Mapping[str, Any]

    @property
    def protected(self) -> int:
        """How many snapshots are protected after it, in all projects."""
        return sum(project["protected"] for project in self.cloud["projects"])


def run(
    contender: str,
    kind: str,
    cloud: StandIn,
    projects: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
) -> Run:
    """Let a contender do a job on new projects.

    Args:
        contender: A module of `benchmarks.contenders`.
        kind: What it has to do.
        cloud: Where.
        projects: Sandbox settings; a project's token is its name.
        environment: The process's.

    Raises:
        RuntimeError: It failed; has what it printed.
    """
    cloud.renew(*projects)
    job = Job(kind, cloud.endpoint, [project["token"] for project in projects])
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", f"benchmarks.contenders.{contender}", str(job)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    process_seconds = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{contender}, {kind}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Run(told["seconds"], process_seconds, told["peak_bytes"], told["said"] or {}, cloud=cloud.tell())
