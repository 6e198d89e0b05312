"""A worker's `--limit` bounds how many flow runs are in progress, and counts none that has died."""

import os
import signal
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType

from playground.server import PrefectServer, worker
from sandbox import ManualClock
from tests.support.deployments import PROTECT, finished, make_deploy
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.machine import begin, until
from tests.support.protection_runs import unprotected
from tests.support.worker_processes import process_of

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("nothing_deployed")]

_LIMIT = 2
_PATIENCE_SECONDS = 240.0


async def all_finished(runs: Sequence[FlowRun]) -> set[StateType | None]:
    done = [await finished(run.id, patience_seconds=_PATIENCE_SECONDS) for run in runs]
    return {run.state_type for run in done}


async def max_concurrency(runs: Sequence[FlowRun]) -> int:
    """How many of the runs were in progress at once, from Pending to their final state."""
    changes: list[tuple[datetime, int]] = []
    async with get_client() as client:
        for run in runs:
            states = await client.read_flow_run_states(run.id)
            changes += [(min(state.timestamp for state in states if state.is_pending()), 1)]
            changes += [(max(state.timestamp for state in states), -1)]
    return max(accumulate(change for _, change in sorted(changes)))


async def states_of(runs: Sequence[FlowRun]) -> list[StateType | None]:
    async with get_client() as client:
        return [(await client.read_flow_run(run.id)).state_type for run in runs]


async def test_a_limit_is_never_exceeded_and_counts_no_run_that_was_killed_with_the_last_worker(
    prefect_api: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    clock = ManualClock()
    sandbox = make_sandbox(snapshots=4, action_seconds=60, clock=clock)
    save_project("limited", sandbox)
    make_deploy(prefect_api)
    runs = [await begin(PROTECT, projects=["limited"]) for _ in range(5)]

    async def all_places_are_taken() -> bool:
        return (await states_of(runs)).count(StateType.RUNNING) == _LIMIT and sandbox.calls(
            "list_actions"
        ) != []

    with worker(prefect_api, tmp_path, limit=_LIMIT) as process:
        await until(all_places_are_taken)
        states = await states_of(runs)
        killed = [run for run, state in zip(runs, states, strict=True) if state is StateType.RUNNING]
        processes = [process_of(run.id) for run in killed]
        for pid in (process.pid, *filter(None, processes)):
            os.killpg(pid, signal.SIGKILL)
    clock.advance(60)
    others = [run for run in runs if run not in killed]
    with worker(prefect_api, tmp_path, limit=_LIMIT):
        assert await all_finished(others) == {StateType.COMPLETED}
    assert await states_of(killed) == [StateType.RUNNING] * _LIMIT
    assert await max_concurrency(others) == _LIMIT
    assert not unprotected(sandbox)
