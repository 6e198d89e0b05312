"""Auditing N snapshots, and runs that find nothing to do."""

from math import ceil

from benchmarks.bench import LOWER_BOUND, Bench, Settings, measured, project
from benchmarks.prefect_side import save_projects

SIZES = (100, 1_000, 10_000)
_QUICK_SIZES = (100, 1_000)
_PER_PAGE = 50
_CONTENDERS = {LOWER_BOUND: "lower_bound", "ours": "ours"}  # modules by name


def measure(bench: Bench) -> None:
    """Measure audits of projects of which a tenth of the snapshots is not protected."""
    for snapshots in _sizes(bench):
        settings = _project(bench, "audited", snapshots, snapshots * 9 // 10)
        for _ in range(bench.rounds):
            for contender, module in _CONTENDERS.items():
                done, task_runs = bench.run_contender(module, "audit", [settings])
                bench.record("audit", contender=contender, snapshots=snapshots, **measured(done, task_runs))


def measure_nothing_to_do(bench: Bench) -> None:
    """Measure what a run costs where all is protected."""
    for snapshots in _sizes(bench):
        settings = _project(bench, "quiet", snapshots, snapshots)
        for kind in ("protect", "audit"):
            done, task_runs = bench.run_contender("ours", kind, [settings])
            bench.record(
                "nothing",
                flow=kind,
                snapshots=snapshots,
                min_requests=ceil(snapshots / _PER_PAGE),
                **measured(done, task_runs),
            )


def _sizes(bench: Bench) -> tuple[int, ...]:
    return _QUICK_SIZES if bench.quick else SIZES


def _project(bench: Bench, kind: str, snapshots: int, protected: int) -> Settings:
    """A separate project: an audit compares with what the last one of the same project saw."""
    name = f"{kind}-{snapshots}"
    save_projects(bench.server, [name], bench.cloud.endpoint)
    return project(snapshots, protected=protected, token=name)
