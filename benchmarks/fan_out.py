"""Beyond one machine: batches of projects on several workers, on PostgreSQL; then one worker is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.settings import temporary_settings

from benchmarks.bench import Bench, project
from benchmarks.postgresql import postgresql
from benchmarks.prefect_side import save_projects
from benchmarks.processes import FakeCloud, fake_cloud
from playground.server import ROOT, PrefectServer, prefect_server, worker

_PROJECTS = 40
_SNAPSHOTS = 20
_BATCHES = {"projects_per_run": 5, "max_concurrent_runs": 4}
_LIMIT = 3  # flow runs of a worker
_SLOW = {"latency_seconds": 1.0}
_ONE, _TWO, _TWO_ONE_KILLED = "one", "two", "two, one of them killed"
_MIDWAY = 250  # changes sent
_MAX_SECONDS = 900
_FAN_OUT = "protect-on-workers/fan-out"
_ZOMBIE_RUNS = ROOT / "docs" / "automations" / "zombie-runs.yaml"
_POLL_SECONDS = 0.2


@contextmanager
def deployed_on_postgresql(home: Path) -> Iterator[tuple[PrefectServer, FakeCloud, str]]:
    """Run a Prefect server with our deployments, a fake cloud, and PostgreSQL, whose URL is yielded, too."""
    shutil.rmtree(home, ignore_errors=True)
    with (
        postgresql(home / "postgresql") as database_url,
        prefect_server(home / "prefect", database_url=database_url) as server,
        fake_cloud() as cloud,
        temporary_settings(server.settings),
    ):
        _run_command(server, "deploy")
        yield server, cloud, database_url


def measure(bench: Bench) -> None:
    """Measure with one worker, with two, and with two of which one is killed midway."""
    home = ROOT / "build" / "fan-out"
    with deployed_on_postgresql(home) as (server, cloud, _):
        names = [f"project-{number:02}" for number in range(1, _PROJECTS + 1)]
        save_projects(server, names, cloud.endpoint)
        _run_command(server, "prefect", "automation", "create", "--from-file", str(_ZOMBIE_RUNS))
        for case in (_ONE, _TWO, _TWO_ONE_KILLED):
            cloud.renew(*({**project(_SNAPSHOTS, token=name), **_SLOW} for name in names))
            result = _measure(server, cloud, home, case)
            bench.record("fan_out", workers=case, projects=_PROJECTS, **result)


def _measure(server: PrefectServer, cloud: FakeCloud, home: Path, case: str) -> dict[str, Any]:
    with _worker(server, home / "first"), ExitStack() as later:
        started = time.monotonic()
        flow_run = start_fan_out(**_BATCHES)
        wait_until(lambda: state_of(flow_run).is_running())  # the first worker has it
        if case != _ONE:
            second = later.enter_context(_worker(server, home / "second")).pid
            if case == _TWO_ONE_KILLED:
                wait_until(lambda: len(_processes_of(second)) > 1 and _changes(cloud) > _MIDWAY)
                for pid in _processes_of(second):
                    os.kill(pid, signal.SIGKILL)
        wait_until(lambda: state_of(flow_run).is_final())
        seconds = time.monotonic() - started
    protected = sum(one["protected"] for one in cloud.stats()["projects"])
    return {
        "snapshots": _PROJECTS * _SNAPSHOTS,
        "protected": protected,
        "seconds": seconds,
        **outcome(flow_run),
    }


def _changes(cloud: FakeCloud) -> int:
    return int(cloud.stats()["operations"].get("change_image_protection", 0))


def _worker(server: PrefectServer, folder: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    folder.mkdir(parents=True, exist_ok=True)
    return worker(server, folder, limit=_LIMIT)


def start_fan_out(**parameters: int) -> FlowRun:
    return cast("FlowRun", run_deployment(_FAN_OUT, parameters=parameters, timeout=0, as_subflow=False))


def state_of(flow_run: FlowRun) -> State:
    """Read its state."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run.id).state
    if state is None:
        raise RuntimeError(f"The flow run {flow_run.id} has no state.")
    return state


def outcome(flow_run: FlowRun) -> dict[str, Any]:
    """Read what came of it."""
    wanted = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [flow_run.id]}})
    with get_client(sync_client=True) as client:
        parts = client.read_flow_runs(flow_run_filter=wanted)
    return {
        "runs": len(parts),
        "crashed": sum(bool(part.state and part.state.is_crashed()) for part in parts),
        "report": f"{state_of(flow_run).name}: {state_of(flow_run).message}",
    }


def _processes_of(worker_pid: int) -> list[int]:
    """A worker's process and those of its flow runs, which lead separate process groups."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [worker_pid]
    for pid in found:  # grows
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds.

    Raises:
        RuntimeError: It takes a quarter of an hour.
    """
    deadline = time.monotonic() + _MAX_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"It took more than {_MAX_SECONDS} seconds.")
        time.sleep(_POLL_SECONDS)


def _run_command(server: PrefectServer, *module: str) -> None:
    subprocess.run([sys.executable, "-m", *module], cwd=ROOT, env=server.environment, check=True)  # noqa: S603 - ours
