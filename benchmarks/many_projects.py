"""Many projects in one run: all at once, and none waits for one that is slow or dead."""

import socket
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import Bench, Settings, measured, project
from benchmarks.prefect_side import save_projects
from benchmarks.processes import Run

PROJECTS = 200
SNAPSHOTS = 20
_QUICK_PROJECTS = 20
_SLOW_LATENCY_SECONDS = 1.0
_PATIENCE = {"HETZNER_CLOUD_REQUEST_TIMEOUT_SECONDS": "3"}  # a tenth: a dead one is given up sooner


def measure(bench: Bench) -> None:
    """Measure the floor, ours, and ours with one slow and one dead project among the others."""
    count = _QUICK_PROJECTS if bench.quick else PROJECTS
    names = [f"project-{number:03}" for number in range(1, count + 1)]
    save_projects(bench.server, names, bench.cloud.endpoint)
    projects = [project(SNAPSHOTS, token=name) for name in names]
    for _ in range(bench.rounds):
        for contender in ("floor", "ours"):
            done, task_runs = bench.run_contender(contender, "protect", projects)
            _record(bench, contender, done, task_runs, done.cloud["projects"])
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, answers nothing
        save_projects(bench.server, names[-1:], f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        _measure_with_trouble(bench, projects)


def _measure_with_trouble(bench: Bench, projects: Sequence[Settings]) -> None:
    slow = {**projects[0], "latency_seconds": _SLOW_LATENCY_SECONDS}
    for _ in range(bench.rounds):
        done, task_runs = bench.run_contender("ours", "protect", [slow, *projects[1:]], **_PATIENCE)
        _record(bench, "ours, one slow and one dead", done, task_runs, done.cloud["projects"][1:-1])


def _record(
    bench: Bench, contender: str, done: Run, task_runs: int, healthy: Sequence[dict[str, Any]]
) -> None:
    began = min(one["began"] for one in healthy)
    bench.record(
        "projects",
        contender=contender,
        projects=len(done.cloud["projects"]),
        snapshots=SNAPSHOTS,
        protected=done.protected,
        healthy_seconds=max(one["ended"] for one in healthy) - began,
        told=done.said.get("told", ""),
        **measured(done, task_runs),
    )
