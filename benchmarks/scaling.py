"""A fan-out over two workers beside one run of the same projects, and what it costs the Prefect server."""

import asyncio
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from benchmarks.bench import Bench, Settings, project
from benchmarks.fan_out import deployed_on_postgresql, outcome, start_fan_out, state_of, wait_until
from benchmarks.prefect_side import save_projects
from benchmarks.process_watch import ProcessWatch, watch_processes
from benchmarks.processes import FakeCloud, run
from playground.server import ROOT, WORKER_QUERY_SECONDS, PrefectServer, worker

SNAPSHOTS = 10
ONE_RUN, FAN_OUT, AUDIT = "one run", "fan-out, two workers", "audit, one run"
_SIZES = (240, 1_000)
_QUICK_SIZES = (40,)
_MANY = 1_000  # of which one round is enough
_ACTION_SECONDS = 0.5
_SETTLE_SECONDS = 2.0
_TABLES = ("flow_run", "task_run", "task_run_state", "flow_run_state", "log", "events", "artifact")


def measure(bench: Bench) -> None:
    """Measure both, for each number of projects."""
    home = ROOT / "build" / "scaling"
    with deployed_on_postgresql(home) as (server, cloud, database_url):
        saved: list[str] = []
        for size in _QUICK_SIZES if bench.quick else _SIZES:
            names = [f"project-{number:04}" for number in range(1, size + 1)]
            save_projects(server, names[len(saved) :], cloud.endpoint)
            saved = names
            projects = [
                {**project(SNAPSHOTS, token=name), "action_seconds": _ACTION_SECONDS} for name in names
            ]
            for _ in range(bench.rounds if size < _MANY else 1):
                for contender, kind in ((ONE_RUN, "protect"), (AUDIT, "audit")):
                    with _watched(database_url) as found:
                        done = run("ours", kind, cloud, projects, server.environment)
                    _record(bench, contender, size, found, seconds=done.seconds, protected=done.protected)
                with _watched(database_url) as found:
                    result = _fan_out(server, cloud, home, projects)
                _record(bench, FAN_OUT, size, found, **result)


def _fan_out(
    server: PrefectServer, cloud: FakeCloud, home: Path, projects: Sequence[Settings]
) -> dict[str, Any]:
    cloud.renew(*projects)
    with ExitStack() as workers:
        for name in ("first", "second"):
            workers.enter_context(_online_worker(server, home / name))
        started = time.monotonic()
        flow_run = start_fan_out()
        wait_until(lambda: state_of(flow_run).is_final())
        seconds = time.monotonic() - started
    protected = sum(one["protected"] for one in cloud.stats()["projects"])
    return {"seconds": seconds, "protected": protected, **outcome(flow_run)}


@contextmanager
def _online_worker(server: PrefectServer, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a worker as docs/systemd does, once it polls."""
    folder.mkdir(exist_ok=True)
    log = folder / "worker.log"
    with worker(server, folder, query_seconds=WORKER_QUERY_SECONDS) as process:
        wait_until(lambda: "started!" in log.read_text())
        yield process


@contextmanager
def _watched(database_url: str) -> Iterator[dict[str, Any]]:
    """Fill in what happens as long as the context lasts, and until the server has written it down."""
    before, found = _database(database_url), dict[str, Any]()
    with watch_processes() as watch:
        yield found
        last: Mapping[str, int] = {}
        while (now := _database(database_url)) != last:
            last = now
            time.sleep(_SETTLE_SECONDS)
    found |= {name: count - before[name] for name, count in now.items()} | _usage(watch)


def _usage(watch: ProcessWatch) -> dict[str, Any]:
    return {kind: used._asdict() for kind, used in watch.usage().items()}


def _database(url: str) -> dict[str, int]:
    """Count the rows of tables, and the bytes that the whole database takes."""

    async def count() -> dict[str, int]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            rows = {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in _TABLES}  # noqa: S608
            events = "SELECT pg_total_relation_size('events') + pg_total_relation_size('event_resources')"
            sizes = {
                "database_bytes": await connection.fetchval("SELECT pg_database_size(current_database())"),
                "events_bytes": await connection.fetchval(events),
            }
        finally:
            await connection.close()
        return rows | sizes

    return asyncio.run(count())


def _record(bench: Bench, contender: str, size: int, found: Mapping[str, Any], **result: object) -> None:
    bench.record("scaling", contender=contender, projects=size, snapshots=SNAPSHOTS, **result, **found)
