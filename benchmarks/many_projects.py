"""Many projects in one run: all at once, and none waits for one that is slow or dead."""

import socket
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import LOWER_BOUND, Bench, Settings, measured, project
from benchmarks.prefect_side import save_projects
from benchmarks.processes import Run

PROJECTS = 200
SNAPSHOTS = 20
_QUICK_PROJECTS = 20
_SLOW_LATENCY_SECONDS = 1.0
_CONTENDERS = {LOWER_BOUND: "lower_bound", "ours": "ours"}  # modules by name
_SHORT_TIMEOUT = {"HETZNER_CLOUD_REQUEST_TIMEOUT_SECONDS": "3"}  # a tenth: a dead one fails sooner


def measure(bench: Bench) -> None:
    """Measure the lower bound, ours, and ours with one slow and one dead project among the others."""
    count = _QUICK_PROJECTS if bench.quick else PROJECTS
    names = [f"project-{number:03}" for number in range(1, count + 1)]
    save_projects(bench.server, names, bench.cloud.endpoint)
    projects = [project(SNAPSHOTS, token=name) for name in names]
    for _ in range(bench.rounds):
        for contender, module in _CONTENDERS.items():
            done, task_runs = bench.run_contender(module, "protect", projects)
            _record(bench, contender, done, task_runs, done.cloud["projects"])
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, never responds
        save_projects(bench.server, names[-1:], f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        _measure_with_failing_projects(bench, projects)


def _measure_with_failing_projects(bench: Bench, projects: Sequence[Settings]) -> None:
    slow = {**projects[0], "latency_seconds": _SLOW_LATENCY_SECONDS}
    for _ in range(bench.rounds):
        done, task_runs = bench.run_contender("ours", "protect", [slow, *projects[1:]], **_SHORT_TIMEOUT)
        _record(bench, "ours, one slow and one dead", done, task_runs, done.cloud["projects"][1:-1])


def _record(
    bench: Bench, contender: str, done: Run, task_runs: int, healthy: Sequence[dict[str, Any]]
) -> None:
    started = min(one["started"] for one in healthy)
    bench.record(
        "projects",
        contender=contender,
        projects=len(done.cloud["projects"]),
        snapshots=SNAPSHOTS,
        protected=done.protected,
        healthy_seconds=max(one["finished"] for one in healthy) - started,
        report=done.output.get("report", ""),
        **measured(done, task_runs),
    )
