"""Protecting N snapshots of one project: ours, the lower bound and the alternatives."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from benchmarks.bench import LOWER_BOUND, Bench, measured, project
from benchmarks.processes import Run, fake_cloud, run

ALL_THEN_WAIT = "hcloud-python, all then wait"
ONE_BY_ONE = "hcloud-python, one by one"
SIZES = (20, 100, 500, 2_000)
_QUICK_SIZES = (20, 100)
_LARGE = 2_000


class _Contender(NamedTuple):
    module: str
    kind: str
    rounds: int  # at most
    rounds_when_large: int


_CONTENDERS = {
    LOWER_BOUND: _Contender("lower_bound", "protect", 5, 5),
    "ours": _Contender("ours", "protect", 5, 5),
    "plain Prefect": _Contender("plain_prefect", "protect", 3, 1),
    ALL_THEN_WAIT: _Contender("hcloud_python", "all then wait", 3, 1),
}


def measure(bench: Bench) -> None:
    """Measure each size in rounds, in each of which all contenders have their turn."""
    for snapshots in _QUICK_SIZES if bench.quick else SIZES:
        for number in range(bench.rounds):
            for name, contender in _CONTENDERS.items():
                if number < (contender.rounds_when_large if snapshots >= _LARGE else contender.rounds):
                    done, task_runs = bench.run_contender(
                        contender.module, contender.kind, [project(snapshots)]
                    )
                    _record(bench, name, snapshots, done, task_runs)


@contextmanager
def one_by_one(bench: Bench) -> Iterator[None]:
    """In the background, measure what takes more than a second for each snapshot but hardly any CPU time."""
    sizes = _QUICK_SIZES if bench.quick else SIZES
    with ThreadPoolExecutor(len(sizes)) as pool:
        runs: dict[int, Future[Run]] = {size: pool.submit(_one_by_one, size) for size in sizes}
        yield
        for size, done in runs.items():
            _record(bench, ONE_BY_ONE, size, done.result(), 0, section="one_by_one")


def _one_by_one(snapshots: int) -> Run:
    with fake_cloud() as cloud:
        return run("hcloud_python", "one by one", cloud, [project(snapshots)], os.environ)


def _record(
    bench: Bench, contender: str, snapshots: int, done: Run, task_runs: int, section: str = "protect"
) -> None:
    if done.protected != snapshots:
        raise RuntimeError(
            f"{contender} has protected {done.protected} of {snapshots} snapshots: {done.output}"
        )
    bench.record(section, contender=contender, snapshots=snapshots, **measured(done, task_runs))
