"""A fleet that no benchmark runs: computed from what `scaling` has measured, with the rate limit simulated.

Requests and rows grow with the projects and their snapshots: what was measured of a run of many projects of
ten snapshots is divided by its projects, or by its requests, and multiplied again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import httpx

from benchmarks.bench import matching
from benchmarks.results import Results
from benchmarks.tables import Table
from hetzner_cloud.rate_limit import RateLimit
from sandbox.bucket import Bucket

PROJECTS, SNAPSHOTS = 5_000, 20
SIZES = (20, 2_000, 5_000, 20_000, 100_000)  # snapshots of one project
PROTECT, AUDIT = "one run", "audit, one run"
_BUDGET = 3_600
_RESERVE = 0.1
_PAGE, _POLLED = 50, 25
_SECONDS_BETWEEN_REQUESTS = 0.003  # ten in flight, of 30 ms each
_MINUTES = 10
_ROWS = ("flow_run", "task_run", "task_run_state", "flow_run_state", "log", "events", "artifact")
_EXPIRING = "events"  # which Prefect deletes after seven days
_NIGHTS = 365
_NIGHTS_OF_EVENTS = 7
_DAYS_OF_RUNS = 90


def requests_of(kind: str, snapshots: int) -> int:
    """Return how many requests a project's part of a run sends at least; all its snapshots are changed."""
    pages = max(1, ceil(snapshots / _PAGE))
    return pages if kind == AUDIT else 2 * pages + snapshots + ceil(snapshots / _POLLED)


def seconds_of(requests: int) -> float:
    """Simulate how long one project's requests take, with its budget whole at the beginning, in seconds."""
    now = 0.0
    bucket, limit = Bucket(_BUDGET, _BUDGET / 3600, lambda: now), RateLimit(_RESERVE)
    for _ in range(requests):
        now += limit.take_slot(now)
        if not bucket.take():
            raise RuntimeError(f"The simulated API returned a 429 after {now:.0f} s.")
        now += _SECONDS_BETWEEN_REQUESTS
        limit.update(httpx.Headers(bucket.headers()), now=now, in_flight=0)
    return now


@dataclass(frozen=True)
class Cost:
    """What a run of the whole fleet costs.

    Attributes:
        run_seconds: CPU time of all flow runs.
        server_seconds: CPU time of the Prefect server.
        rows: In the database.
        kept_bytes: In the database, until the run is deleted.
        expiring_bytes: In the database, for seven days.
    """

    kind: str
    requests: int
    run_seconds: float
    server_seconds: float
    rows: int
    kept_bytes: float
    expiring_bytes: float

    @classmethod
    def of(cls, kind: str, measured: Mapping[str, Any]) -> "Cost":
        """Compute it from a run that was measured."""
        each = PROJECTS / measured["projects"]
        requests = requests_of(kind, SNAPSHOTS)
        more = requests / requests_of(kind, measured["snapshots"])
        expiring = measured[f"{_EXPIRING}_bytes"] * each
        return cls(
            kind,
            requests * PROJECTS,
            measured["flow run"]["cpu_seconds"] * each * more,
            measured["server"]["cpu_seconds"] * each,
            round(sum(measured[name] for name in _ROWS) * each),
            measured["database_bytes"] * each - expiring,
            expiring,
        )


def fleet(results: Results) -> Table:
    """What runs of the whole fleet cost."""
    columns = ["run", "requests", "CPU of flow runs", "CPU of the Prefect server", "rows", "database"]
    costs = costs_of(results)
    rows = [
        [
            cost.kind,
            f"{cost.requests:,}",
            f"{cost.run_seconds / 60:.0f} min",
            f"{cost.server_seconds / 60:.0f} min",
            f"{cost.rows:,}",
            f"{(cost.kept_bytes + cost.expiring_bytes) / 1e6:,.0f} MB",
        ]
        for cost in costs.values()
    ]
    return Table(f"{PROJECTS * SNAPSHOTS:,} snapshots in {PROJECTS:,} projects", columns, rows)


def needs(results: Results) -> Table:
    """What the fleet needs."""
    protect, audit = costs_of(results)[PROTECT], costs_of(results)[AUDIT]
    year = _NIGHTS * audit.kept_bytes
    events = _NIGHTS_OF_EVENTS * audit.expiring_bytes
    rows = [
        [f"cores for flow runs, to protect all in {_MINUTES} minutes", _cores(protect.run_seconds)],
        [
            f"cores for the Prefect server, to store that in {_MINUTES} minutes",
            _cores(protect.server_seconds),
        ],
        [f"cores for flow runs, to audit all in {_MINUTES} minutes", _cores(audit.run_seconds)],
        [
            "database after a year of nightly audits, nothing deleted",
            _gigabytes(year + _NIGHTS * audit.expiring_bytes),
        ],
        ["… with events deleted after 7 days, as Prefect does", _gigabytes(year + events)],
        [
            f"… and flow runs after {_DAYS_OF_RUNS} days, as its vacuum does",
            _gigabytes(_DAYS_OF_RUNS * audit.kept_bytes + events),
        ],
    ]
    return Table("What that needs", ["what", "how much"], rows)


def rate_limits(_results: Results) -> Table:
    """How long one project takes because of its request budget."""
    rows = []
    for size in SIZES:
        requests = {kind: requests_of(kind, size) for kind in (PROTECT, AUDIT)}
        rows.append(
            [
                f"{size:,}",
                *(cell for kind in requests.values() for cell in (f"{kind:,}", _time(seconds_of(kind)))),
            ]
        )
    columns = ["snapshots", "requests to protect", "at least", "requests to audit", "at least"]
    return Table("One project and its budget", columns, rows)


def costs_of(results: Results) -> dict[str, Cost]:
    """Compute the costs of the fleet from the largest runs that were measured."""
    most = max(one["projects"] for one in results)
    found = {kind: matching(results, contender=kind, projects=most) for kind in (PROTECT, AUDIT)}
    return {kind: Cost.of(kind, runs[-1]) for kind, runs in found.items()}


def _cores(cpu_seconds: float) -> str:
    return str(ceil(cpu_seconds / (_MINUTES * 60)))


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"
