"""Tables of the figures, as they are printed and as they stand on the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.bench import matching, median_of
from benchmarks.results import Figures

Cells = list[Any]  # texts


class Table(NamedTuple):
    """A table: a title, column names, rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Cells]


_COSTS = ("requests", "connections", "memory", "task runs")


def protect(figures: Figures) -> Table:
    """Protecting N snapshots."""
    rows = []
    for size in _distinct(figures, "snapshots"):
        floor = median_of(figures, "seconds", contender="floor", snapshots=size)
        for name in _distinct(figures, "contender"):
            found = matching(figures, contender=name, snapshots=size)
            if found:
                rows.append([f"{size:,}", name, *_times(found, floor), *_costs(found), str(len(found))])
    columns = ["snapshots", "contender", "seconds", "of the floor", "with imports", *_COSTS, "rounds"]
    return Table("Protect", columns, rows)


def audit(figures: Figures) -> Table:
    """Auditing N snapshots."""
    return protect(figures)._replace(title="Audit")


def nothing(figures: Figures) -> Table:
    """Runs where all is protected."""
    rows = [
        [
            f"{one['snapshots']:,}",
            one["flow"],
            f"{one['seconds']:.2f}",
            str(one["requests"]),
            str(one["min_requests"]),
            str(one["task_runs"]),
        ]
        for one in figures
    ]
    columns = ["snapshots", "flow", "seconds", "requests", "pages of 50", "task runs"]
    return Table("Nothing to do", columns, rows)


def start_up(figures: Figures) -> Table:
    """Until the first request."""
    rows = [
        [
            name,
            f"{median_of(figures, 'seconds', contender=name):.2f}",
            str(len(matching(figures, contender=name))),
        ]
        for name in _distinct(figures, "contender")
    ]
    return Table("From the command to the first request", ["contender", "seconds", "rounds"], rows)


def projects(figures: Figures) -> Table:
    """Many projects in one run."""
    floor = median_of(figures, "seconds", contender="floor")
    rows = []
    for name in _distinct(figures, "contender"):
        found = matching(figures, contender=name)
        rows.append(
            [
                name,
                *_times(found, floor)[:2],
                f"{median_of(found, 'healthy_seconds'):.1f}",
                f"{median_of(found, 'protected'):,.0f}",
                _whole(found, "requests"),
                _whole(found, "connections_at_once"),
                *_costs(found)[2:],
                str(len(found)),
            ]
        )
    columns = ["contender", "seconds", "of the floor", "healthy projects done after", "protected", "requests"]
    columns += ["connections at once", "memory", "task runs", "rounds"]
    count = f"{figures[0]['projects']} projects of {figures[0]['snapshots']} snapshots"
    return Table(f"Many projects: {count}", columns, rows)


def fan_out(figures: Figures) -> Table:
    """Beyond one machine."""
    rows = [
        [
            one["workers"],
            f"{one['seconds']:.0f}",
            f"{one['protected']:,} of {one['snapshots']:,}",
            str(one["runs"]),
            str(one["crashed"]),
            one["told"],
        ]
        for one in figures
    ]
    columns = ["workers", "seconds", "protected", "runs", "of them crashed", "the one report"]
    return Table(f"Beyond one machine: {figures[0]['projects']} projects on PostgreSQL", columns, rows)


def _times(found: Figures, floor: float) -> Cells:
    seconds = median_of(found, "seconds")
    return [f"{seconds:.2f}", f"{seconds / floor:.2f}", f"{median_of(found, 'process_seconds'):.2f}"]


def _costs(found: Figures) -> Cells:
    memory = f"{median_of(found, 'peak_bytes') / 1e6:.0f} MB"
    return [_whole(found, "requests"), _whole(found, "connections"), memory, _whole(found, "task_runs")]


def _whole(found: Figures, name: str) -> str:
    return f"{median_of(found, name):,.0f}"


def _distinct(figures: Figures, name: str) -> list[object]:
    return list(dict.fromkeys(one[name] for one in figures))


def tables(figures: Mapping[str, Figures]) -> list[Table]:
    """Make all tables of which there are figures."""
    return [make(found) for name, make in TABLES.items() if (found := of_section(figures, name))]


def of_section(figures: Mapping[str, Figures], name: str) -> Figures:
    """The figures of a section; what was measured one by one stands beside the others that protect."""
    meanwhile = figures.get("one_by_one", ()) if name == "protect" and figures.get(name) else ()
    return [*figures.get(name, ()), *meanwhile]


TABLES: dict[str, Callable[[Figures], Table]] = {
    "protect": protect,
    "audit": audit,
    "nothing": nothing,
    "start_up": start_up,
    "projects": projects,
    "fan_out": fan_out,
}
