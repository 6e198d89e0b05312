"""The processes of a benchmark: the fake cloud, and one for each contender's run."""

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


class FakeCloud:
    """Projects in a separate process, see `benchmarks.fake_cloud`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.endpoint: str = self._read()

    def renew(self, *projects: Mapping[str, Any]) -> None:
        """Replace all projects with these, sandbox settings each."""
        self._request(projects)

    def stats(self) -> dict[str, Any]:
        """What has happened since, see `benchmarks.fake_cloud.CloudApp.stats`."""
        stats: dict[str, Any] = self._request(None)
        return stats

    def _request(self, command: object) -> Any:  # noqa: ANN401 - JSON
        if self._process.stdin is None:
            raise RuntimeError("The fake cloud has no stdin.")
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:  # noqa: ANN401 - JSON
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("The fake cloud has ended.")
        return json.loads(line)


@contextmanager
def fake_cloud() -> Iterator[FakeCloud]:
    """Run a fake cloud while the context lasts."""
    command = [sys.executable, "-m", "benchmarks.fake_cloud"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield FakeCloud(process)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Run:
    """The result of one contender's run.

    Attributes:
        seconds: The job's, without imports.
        process_seconds: The whole process's.
        peak_bytes: The most memory of the process.
        output: What the contender reports of it, as a rule its flow run's id and state.
        cloud: What the fake cloud counted.
    """

    seconds: float
    process_seconds: float
    peak_bytes: int
    output: Mapping[str, str]
    cloud: Mapping[str, Any]

    @property
    def protected(self) -> int:
        """How many snapshots are protected after it, in all projects."""
        return sum(project["protected"] for project in self.cloud["projects"])


def run(
    contender: str,
    kind: str,
    cloud: FakeCloud,
    projects: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
) -> Run:
    """Run a contender's job on new projects.

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
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", f"benchmarks.contenders.{contender}", str(job)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    process_seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{contender}, {kind}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    measured = json.loads(done.stdout.splitlines()[-1])
    return Run(
        measured["seconds"],
        process_seconds,
        measured["peak_bytes"],
        measured["output"] or {},
        cloud=cloud.stats(),
    )
