"""Beyond one machine: slices of projects on several workers, on PostgreSQL; then one worker is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
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
from benchmarks.processes import StandIn, stand_in
from playground.server import ROOT, PrefectServer, prefect_server, worker

_PROJECTS = 40
_SNAPSHOTS = 20
_PROJECTS_PER_RUN = 5
_RUNS_AT_ONCE = 4
_LIMIT = 3  # flow runs of a worker
_SLOW = {"latency_seconds": 1.0}
_ONE, _TWO, _TWO_ONE_KILLED = "one", "two", "two, one of them killed"
_IN_THE_MIDDLE = 250  # changes sent
_MAX_SECONDS = 900
_FAN_OUT = "protect-on-workers/fan-out"
_SILENT_RUNS = ROOT / "docs" / "automations" / "zombie-runs.yaml"
_LOOK_SECONDS = 0.2


def measure(bench: Bench) -> None:
    """Measure with one worker, with two, and with two of which one is killed in the median_of."""
    home = ROOT / "build" / "fan-out"
    shutil.rmtree(home, ignore_errors=True)
    with (
        postgresql(home / "postgresql") as database_url,
        prefect_server(home / "prefect", database_url=database_url) as server,
        stand_in() as cloud,
        temporary_settings(server.settings),
    ):
        names = [f"project-{number:02}" for number in range(1, _PROJECTS + 1)]
        save_projects(server, names, cloud.endpoint)
        _command(server, "deploy")
        _command(server, "prefect", "automation", "create", "--from-file", str(_SILENT_RUNS))
        for case in (_ONE, _TWO, _TWO_ONE_KILLED):
            cloud.renew(*({**project(_SNAPSHOTS, token=name), **_SLOW} for name in names))
            figure = _measure(server, cloud, home, case)
            bench.record("fan_out", workers=case, projects=_PROJECTS, **figure)


def _measure(server: PrefectServer, cloud: StandIn, home: Path, case: str) -> dict[str, Any]:
    with _worker(server, home / "first"), ExitStack() as later:
        began = time.monotonic()
        begun = _start()
        _wait_until(lambda: _state_of(begun).is_running())  # the first worker has it
        if case != _ONE:
            second = later.enter_context(_worker(server, home / "second")).pid
            if case == _TWO_ONE_KILLED:
                _wait_until(lambda: len(_processes_of(second)) > 1 and _changes(cloud) > _IN_THE_MIDDLE)
                for pid in _processes_of(second):
                    os.kill(pid, signal.SIGKILL)
        _wait_until(lambda: _state_of(begun).is_final())
        seconds = time.monotonic() - began
    protected = sum(one["protected"] for one in cloud.tell()["projects"])
    return {"snapshots": _PROJECTS * _SNAPSHOTS, "protected": protected, "seconds": seconds, **_told(begun)}


def _changes(cloud: StandIn) -> int:
    return int(cloud.tell()["operations"].get("change_image_protection", 0))


def _worker(server: PrefectServer, folder: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    return worker(server, folder, limit=_LIMIT)


def _start() -> FlowRun:
    parameters = {"projects_per_run": _PROJECTS_PER_RUN, "max_concurrent_runs": _RUNS_AT_ONCE}
    return cast("FlowRun", run_deployment(_FAN_OUT, parameters=parameters, timeout=0, as_subflow=False))


def _state_of(begun: FlowRun) -> State:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(begun.id).state
    if state is None:
        raise RuntimeError(f"The flow run {begun.id} has no state.")
    return state


def _told(begun: FlowRun) -> dict[str, Any]:
    wanted = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [begun.id]}})
    with get_client(sync_client=True) as client:
        parts = client.read_flow_runs(flow_run_filter=wanted)
    return {
        "runs": len(parts),
        "crashed": sum(bool(part.state and part.state.is_crashed()) for part in parts),
        "told": f"{_state_of(begun).name}: {_state_of(begun).message}",
    }


def _processes_of(worker_pid: int) -> list[int]:
    """A worker's process and those of its flow runs, which lead process groups of their own."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [worker_pid]
    for pid in found:  # grows
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _MAX_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"It took more than {_MAX_SECONDS} seconds.")
        time.sleep(_LOOK_SECONDS)


def _command(server: PrefectServer, *module: str) -> None:
    subprocess.run([sys.executable, "-m", *module], cwd=ROOT, env=server.environment, check=True)  # noqa: S603 - ours
