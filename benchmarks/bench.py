"""What all sections of the benchmark have: a Prefect server, a cloud, and a file for results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.prefect_side import count_task_runs
from benchmarks.processes import FakeCloud, Run, run
from benchmarks.results import Results, write_result
from playground.server import PrefectServer

PROJECT = "bench"
LOWER_BOUND = "lower bound"  # the contender that the others are measured against
LATENCY_SECONDS = 0.03
ACTION_SECONDS = 1.0

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark.

    Attributes:
        server: Stores the credentials of the project `bench`.
        cloud: Where that project is.
        quick: Whether small sizes and one round are enough.
        path: Where results go.
    """

    server: PrefectServer
    cloud: FakeCloud
    quick: bool
    path: Path

    @property
    def rounds(self) -> int:
        """How often to measure what does not take long."""
        return 1 if self.quick else 3

    def run_contender(
        self, contender: str, kind: str, projects: Sequence[Settings], **environment: str
    ) -> tuple[Run, int]:
        """Run a contender's job; returns its run, and how many task runs it had."""
        done = run(contender, kind, self.cloud, projects, {**self.server.environment, **environment})
        flow_run = done.output.get("flow_run")
        return done, count_task_runs(self.server, flow_run) if flow_run else 0

    def record(self, section: str, **result: Any) -> None:  # noqa: ANN401 - JSON
        """Write a result to the file."""
        write_result(self.path, section, result)


def project(snapshots: int, *, protected: int = 0, token: str = PROJECT) -> Settings:
    """Describe a project to the fake cloud, as slow as the real one."""
    return {
        "token": token,
        "snapshots": snapshots,
        "protected": protected,
        "latency_seconds": LATENCY_SECONDS,
        "action_seconds": ACTION_SECONDS,
    }


def measured(done: Run, task_runs: int) -> dict[str, Any]:
    """The values of a run that are recorded."""
    return {
        "seconds": done.seconds,
        "process_seconds": done.process_seconds,
        "requests": done.cloud["requests"],
        "connections": done.cloud["connections"],
        "connections_at_once": done.cloud["connections_at_once"],
        "in_flight": done.cloud["in_flight"],
        "peak_bytes": done.peak_bytes,
        "task_runs": task_runs,
    }


def median_of(results: Results, name: str, **where: object) -> float:
    """The median of a value over the rounds.

    Raises:
        LookupError: There is none.
    """
    if not (found := matching(results, **where)):
        raise LookupError(f"no {name} of {where}")
    return float(median(one[name] for one in found))


def matching(results: Results, **where: object) -> Results:
    """The results that have these values."""
    return [one for one in results if all(one[key] == value for key, value in where.items())]
