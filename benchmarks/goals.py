"""The goals, and the margins by which they are met or missed."""

from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import NamedTuple

from benchmarks.bench import LOWER_BOUND, median_of
from benchmarks.protecting import ALL_THEN_WAIT
from benchmarks.results import Results
from benchmarks.scaling import FAN_OUT, ONE_RUN
from benchmarks.tables import Table, of_section

_IN_FLIGHT = 10
_MAX_AT_ONCE = 200  # of many projects


class Goal(NamedTuple):
    """A goal: what is measured, and the bound that it must not exceed, or must reach."""

    text: str
    measured: float
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def goals(results: Mapping[str, Results]) -> Table:
    """Compare what was measured with its goals; what was not is left out."""
    found = [
        goal
        for name, make_goals in _GOALS.items()
        if (measured := of_section(results, name))
        for goal in make_goals(measured)
    ]
    rows = [
        [
            goal.text,
            f"{'at least' if goal.at_least else 'at most'} {goal.bound:g}{goal.unit}",
            f"{goal.measured:.3g}{goal.unit}",
            "met" if goal.met else "**missed**",
            f"{abs(goal.measured - goal.bound):.3g}{goal.unit}",
        ]
        for goal in found
    ]
    return Table("Goals", ["goal", "bound", "measured", "", "margin"], rows)


def _protect(results: Results) -> Iterator[Goal]:
    for size in sorted({one["snapshots"] for one in results}):
        at = {name: _seconds(results, name, size) for name in {one["contender"] for one in results}}
        lower_bound, ours = at[LOWER_BOUND], at["ours"]
        if size < 500:
            most = 0.45 if size == 20 else 1.5
            yield Goal(f"protect {size:,}: on top of the lower bound", ours - lower_bound, most, unit=" s")
        else:
            yield Goal(f"protect {size:,}: times the lower bound", ours / lower_bound, 1.25)
        if size == 500:
            yield Goal(
                "protect 500: hcloud-python, all then wait, takes times ours",
                at[ALL_THEN_WAIT] / ours,
                6,
                at_least=True,
            )
            yield Goal(
                "protect 500: plain Prefect takes times ours", at["plain Prefect"] / ours, 3, at_least=True
            )
        peers = min(seconds for name, seconds in at.items() if name not in {LOWER_BOUND, "ours"})
        yield Goal(f"protect {size:,}: the fastest peer takes times ours", peers / ours, 1, at_least=True)
        least = 2 * ceil(size / 50) + size + ceil(size / 25)
        requests = median_of(results, "requests", contender="ours", snapshots=size)
        yield Goal(f"protect {size:,}: requests, times the least", requests / least, 1.05)
        connections = max(one["connections"] for one in results if one["contender"] == "ours")
        yield Goal(f"protect {size:,}: connections", connections, _IN_FLIGHT)


def _audit(results: Results) -> Iterator[Goal]:
    sizes = sorted({one["snapshots"] for one in results})
    if len(sizes) > 1:
        less, most = sizes[-2:]
        memory = [median_of(results, "peak_bytes", contender="ours", snapshots=size) for size in (less, most)]
        yield Goal(f"audit {most:,}: peak memory", memory[1] / 1e6, 400, unit=" MB")
        growth = (memory[1] - memory[0]) / (most - less)
        yield Goal(f"audit {less:,} to {most:,}: memory for a snapshot more", growth / 1e3, 10, unit=" kB")
        times = _seconds(results, "ours", most) / _seconds(results, LOWER_BOUND, most)
        yield Goal(f"audit {most:,}: times the lower bound", times, 1.6)


def _prune(results: Results) -> Iterator[Goal]:
    most = max(one["snapshots"] for one in results)
    for name, what, at_most in (("seconds", "time", 1.5), ("peak_bytes", "peak memory", 1.25)):
        audit, prune = (median_of(results, name, flow=flow, snapshots=most) for flow in ("audit", "prune"))
        yield Goal(f"prune {most:,}, dry: {what}, times the audit's", prune / audit, at_most)


def _nothing(results: Results) -> Iterator[Goal]:
    more = max(one["requests"] - one["min_requests"] for one in results)
    yield Goal("nothing to do: requests beyond one for each 50 snapshots", more, 0)
    yield Goal("nothing to do: task runs", max(one["task_runs"] for one in results), 5)


def _start_up(results: Results) -> Iterator[Goal]:
    ours, smallest = (median_of(results, "seconds", contender=name) for name in ("ours", "smallest flow"))
    yield Goal("start-up: on top of the smallest flow", ours - smallest, 0.3, unit=" s")


def _projects(results: Results) -> Iterator[Goal]:
    ours = [one for one in results if one["contender"] != LOWER_BOUND]
    yield Goal(
        "many projects: connections at once", max(one["connections_at_once"] for one in ours), _MAX_AT_ONCE
    )
    yield Goal("many projects: peak memory", max(one["peak_bytes"] for one in ours) / 1e6, 400, unit=" MB")
    times = [median_of(results, "seconds", contender=name) for name in ("ours", LOWER_BOUND)]
    yield Goal("many projects: times the lower bound", times[0] / times[1], 1.35)
    alone = median_of(results, "healthy_seconds", contender="ours")
    beside = median_of(results, "healthy_seconds", contender="ours, one slow and one dead")
    yield Goal(
        "many projects: the healthy ones beside a slow and a dead one, times without", beside / alone, 1.25
    )


def _fan_out(results: Results) -> Iterator[Goal]:
    lost = sum(one["snapshots"] - one["protected"] for one in results)
    yield Goal("beyond one machine: snapshots lost with a worker", lost, 0)


def _scaling(results: Results) -> Iterator[Goal]:
    size = min(one["projects"] for one in results)
    one_run, fanned_out = (
        median_of(results, "seconds", contender=name, projects=size) for name in (ONE_RUN, FAN_OUT)
    )
    yield Goal(
        f"fan-out of {size} projects over two workers, beyond 1.5 times one run",
        fanned_out - 1.5 * one_run,
        25,
        unit=" s",
    )


def _seconds(results: Results, contender: str, size: int) -> float:
    return median_of(results, "seconds", contender=contender, snapshots=size)


_GOALS: dict[str, Callable[[Results], Iterator[Goal]]] = {
    "protect": _protect,
    "audit": _audit,
    "prune": _prune,
    "nothing": _nothing,
    "start_up": _start_up,
    "projects": _projects,
    "fan_out": _fan_out,
    "scaling": _scaling,
}
