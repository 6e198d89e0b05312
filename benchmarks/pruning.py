"""A dry prune run of N snapshots, compared with an audit of the same project."""

from benchmarks.bench import Bench, measured, project
from benchmarks.prefect_side import save_projects, save_pruning_policy

SIZES = (1_000, 10_000)
_QUICK_SIZES = (1_000,)
FLOWS = ("audit", "prune")


def measure(bench: Bench) -> None:
    """Measure both in turns; the policy does not keep most of the snapshots, so they are candidates."""
    save_pruning_policy(bench.server)
    for snapshots in _QUICK_SIZES if bench.quick else SIZES:
        name = f"pruned-{snapshots}"
        save_projects(bench.server, [name], bench.cloud.endpoint)
        settings = project(snapshots, protected=snapshots, token=name)
        for _ in range(bench.rounds):
            for flow in FLOWS:
                done, task_runs = bench.run_contender("ours", flow, [settings])
                bench.record("prune", flow=flow, snapshots=snapshots, **measured(done, task_runs))
