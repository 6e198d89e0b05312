"""How a run shares a project's request budget: real time, real HTTP, the engine, and other processes."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.sandbox import Sandbox
from playground.server import PrefectServer
from tests.conftest import MakeSandbox, SaveProject
from tests.figures import RecordFigure
from tests.records import end_of, log_of, run, task_runs_of
from tests.test_command_line import COMMAND, ROOT, environment_of
from tests.test_protect_snapshots import outcomes_of, unprotected

pytestmark = pytest.mark.e2e


def refused(sandbox: Sandbox) -> int:
    return sum(record.status == 429 for record in sandbox.requests)


def seconds_of(sandbox: Sandbox) -> float:
    """From the first request to the last answer."""
    return max(record.finished or 0 for record in sandbox.requests) - sandbox.requests[0].started


def least_seconds(sandbox: Sandbox, *, at_first: float | None = None) -> float:
    """What the bucket itself needs for as many requests as were accepted, with no reserve."""
    accepted = len(sandbox.requests) - refused(sandbox)
    full = sandbox.bucket.limit if at_first is None else at_first
    return max(0.0, accepted - full) / sandbox.bucket.refill_per_second


@pytest.fixture(autouse=True)
def the_real_pace_of_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETZNER_CLOUD_POLL_INTERVAL_SECONDS")


async def test_800_changes_take_no_longer_than_a_bucket_of_400_allows(
    save_project: SaveProject, make_sandbox: MakeSandbox, record_figure: RecordFigure
) -> None:
    sandbox = make_sandbox(snapshots=800, rate_limit=400, rate_refill_per_second=40, action_seconds=1)
    save_project("paced", sandbox)

    done = await run(protect_snapshots, projects=["paced"])

    assert Counter(outcomes_of(done).values()) == {"protected": 800}
    runs = await task_runs_of(done.record.id)
    assert {one.state.type.value for one in runs if one.state} == {"COMPLETED"}
    seconds, least = seconds_of(sandbox), least_seconds(sandbox)
    lowest = min(record.remaining for record in sandbox.requests if record.remaining is not None)
    figure = {
        "requests": len(sandbox.requests),
        "polls": len(sandbox.calls("list_actions")),
        "seconds": seconds,
        "least_seconds": least,
        "refused": refused(sandbox),
        "lowest": lowest,
        "reserve": 40,
    }
    print(figure)
    record_figure("pacing", case="800 changes, bucket of 400, 40 a second", **figure)
    assert seconds <= 1.25 * least
    assert refused(sandbox) <= 5
