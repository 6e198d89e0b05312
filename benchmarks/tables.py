"""Tables of the results, as they are printed and as they are on the page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.bench import LOWER_BOUND, matching, median_of
from benchmarks.results import Results

Cells = list[Any]  # texts


class Table(NamedTuple):
    """A table: a title, column names, rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Cells]


_COSTS = ("requests", "connections", "memory", "task runs")


def protect(results: Results) -> Table:
    """Protecting N snapshots."""
    rows = []
    for size in _distinct(results, "snapshots"):
        lower_bound = median_of(results, "seconds", contender=LOWER_BOUND, snapshots=size)
        for name in _distinct(results, "contender"):
            found = matching(results, contender=name, snapshots=size)
            if found:
                rows.append([f"{size:,}", name, *_times(found, lower_bound), *_costs(found), str(len(found))])
    columns = ["snapshots", "contender", "seconds", "of the lower bound", "with imports", *_COSTS, "rounds"]
    return Table("Protect", columns, rows)


def audit(results: Results) -> Table:
    """Auditing N snapshots."""
    return protect(results)._replace(title="Audit")


def nothing(results: Results) -> Table:
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
        for one in results
    ]
    columns = ["snapshots", "flow", "seconds", "requests", "pages of 50", "task runs"]
    return Table("Nothing to do", columns, rows)


def prune(results: Results) -> Table:
    """Dry prune runs, beside audits."""
    rows = []
    for size in _distinct(results, "snapshots"):
        audited = median_of(results, "seconds", flow="audit", snapshots=size)
        for flow in _distinct(results, "flow"):
            found = matching(results, flow=flow, snapshots=size)
            rows.append([f"{size:,}", flow, *_times(found, audited), *_costs(found), str(len(found))])
    columns = ["snapshots", "flow", "seconds", "of the audit", "with imports", *_COSTS, "rounds"]
    return Table("Prune, dry", columns, rows)


def start_up(results: Results) -> Table:
    """Until the first request."""
    rows = [
        [
            name,
            f"{median_of(results, 'seconds', contender=name):.2f}",
            str(len(matching(results, contender=name))),
        ]
        for name in _distinct(results, "contender")
    ]
    return Table("From the command to the first request", ["contender", "seconds", "rounds"], rows)


def projects(results: Results) -> Table:
    """Many projects in one run."""
    lower_bound = median_of(results, "seconds", contender=LOWER_BOUND)
    rows = []
    for name in _distinct(results, "contender"):
        found = matching(results, contender=name)
        rows.append(
            [
                name,
                *_times(found, lower_bound)[:2],
                f"{median_of(found, 'healthy_seconds'):.1f}",
                f"{median_of(found, 'protected'):,.0f}",
                _whole(found, "requests"),
                _whole(found, "connections_at_once"),
                *_costs(found)[2:],
                str(len(found)),
            ]
        )
    columns = [
        "contender",
        "seconds",
        "of the lower bound",
        "healthy projects done after",
        "protected",
        "requests",
    ]
    columns += ["connections at once", "memory", "task runs", "rounds"]
    count = f"{results[0]['projects']} projects of {results[0]['snapshots']} snapshots"
    return Table(f"Many projects: {count}", columns, rows)


def fan_out(results: Results) -> Table:
    """Beyond one machine."""
    rows = [
        [
            one["workers"],
            f"{one['seconds']:.0f}",
            f"{one['protected']:,} of {one['snapshots']:,}",
            str(one["runs"]),
            str(one["crashed"]),
            one["report"],
        ]
        for one in results
    ]
    columns = ["workers", "seconds", "protected", "runs", "of them crashed", "the one report"]
    return Table(f"Beyond one machine: {results[0]['projects']} projects on PostgreSQL", columns, rows)


def scaling(results: Results) -> Table:
    """One run of many projects, a fan-out over two workers, and an audit, with what they cost."""
    rows = []
    for size in _distinct(results, "projects"):
        for name in _distinct(results, "contender"):
            found = matching(results, contender=name, projects=size)
            memory = (
                f"{max(one[kind]['peak_bytes'] for one in found) / 1e6:.0f} MB"
                for kind in ("flow run", "server")
            )
            cpu = (f"{median_of(_used(found, kind), 'cpu_seconds'):.0f} s" for kind in ("flow run", "server"))
            written = (_whole(found, table) for table in ("task_run", "log", "events"))
            seconds = f"{median_of(found, 'seconds'):.1f}"
            rows.append([f"{size:,}", name, seconds, *cpu, *memory, *written, str(len(found))])
    columns = ["projects", "what", "seconds", "CPU of flow runs", "CPU of the server"]
    columns += ["memory of a flow run", "memory of the server", "task runs", "log lines", "events", "rounds"]
    return Table(f"Projects of {results[0]['snapshots']} snapshots, on PostgreSQL", columns, rows)


def _used(found: Results, kind: str) -> Results:
    return [one[kind] for one in found]


def _times(found: Results, lower_bound: float) -> Cells:
    seconds = median_of(found, "seconds")
    return [f"{seconds:.2f}", f"{seconds / lower_bound:.2f}", f"{median_of(found, 'process_seconds'):.2f}"]


def _costs(found: Results) -> Cells:
    memory = f"{median_of(found, 'peak_bytes') / 1e6:.0f} MB"
    return [_whole(found, "requests"), _whole(found, "connections"), memory, _whole(found, "task_runs")]


def _whole(found: Results, name: str) -> str:
    return f"{median_of(found, name):,.0f}"


def _distinct(results: Results, name: str) -> list[object]:
    return list(dict.fromkeys(one[name] for one in results))


def tables(results: Mapping[str, Results]) -> list[Table]:
    """Make all tables of which there are results."""
    return [make(found) for name, make in TABLES.items() if (found := of_section(results, name))]


def of_section(results: Mapping[str, Results], name: str) -> Results:
    """The results of a section; what was measured one by one is shown beside the others that protect."""
    in_background = results.get("one_by_one", ()) if name == "protect" and results.get(name) else ()
    return [*results.get(name, ()), *in_background]


TABLES: dict[str, Callable[[Results], Table]] = {
    "protect": protect,
    "audit": audit,
    "nothing": nothing,
    "prune": prune,
    "start_up": start_up,
    "projects": projects,
    "fan_out": fan_out,
    "scaling": scaling,
}
