"""Auditing N snapshots, and runs that find nothing to do."""

from math import ceil

from benchmarks.bench import Bench, measured, project

SIZES = (100, 1_000, 10_000)
_QUICK_SIZES = (100, 1_000)
_PER_PAGE = 50


def measure(bench: Bench) -> None:
    """Measure audits of projects of which a tenth of the snapshots is not protected."""
    for snapshots in _QUICK_SIZES if bench.quick else SIZES:
        for _ in range(bench.rounds):
            for contender in ("floor", "ours"):
                settings = project(snapshots, protected=snapshots * 9 // 10)
                done, task_runs = bench.compete(contender, "audit", [settings])
                bench.record("audit", contender=contender, snapshots=snapshots, **measured(done, task_runs))


def measure_nothing_to_do(bench: Bench) -> None:
    """Measure what a run costs where all is protected."""
    for snapshots in _QUICK_SIZES if bench.quick else SIZES:
        for kind in ("protect", "audit"):
            done, task_runs = bench.compete("ours", kind, [project(snapshots, protected=snapshots)])
            least = ceil(snapshots / _PER_PAGE)
            bench.record(
                "nothing",
                flow=kind,
                snapshots=snapshots,
                least_requests=least,
                **measured(done, task_runs),
            )
