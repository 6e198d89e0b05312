"""How a run shares a project's request budget: real time, real HTTP, the engine, and other processes."""

import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer
from sandbox import Sandbox
from tests.support.figures import RecordFigure
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import end_of, log_of, run, task_runs_of
from tests.support.protection_runs import outcomes_of, unprotected
from tests.support.shell import COMMAND, ROOT, environment_of

pytestmark = pytest.mark.e2e


def refused(sandbox: Sandbox) -> int:
    return sum(record.status == 429 for record in sandbox.requests)


def seconds_of(sandbox: Sandbox) -> float:
    """From the first request to the last answer."""
    return max(record.finished or 0 for record in sandbox.requests) - sandbox.requests[0].started


def min_seconds(sandbox: Sandbox, *, at_first: float | None = None) -> float:
    """What the bucket itself needs for as many requests as were accepted, with no reserve."""
    accepted = len(sandbox.requests) - refused(sandbox)
    full = sandbox.bucket.limit if at_first is None else at_first
    return max(0.0, accepted - full) / sandbox.bucket.refill_per_second


@pytest.fixture(autouse=True)
def the_real_pace_of_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HETZNER_CLOUD_POLL_INTERVAL_SECONDS")


@contextmanager
def another_user(sandbox: Sandbox, *, requests_per_second: float) -> Iterator[None]:
    """Draw on the same bucket, steadily, as Terraform or a Kubernetes cluster does."""
    done = threading.Event()

    def draw() -> None:
        while not done.wait(1 / requests_per_second):
            sandbox.bucket.take()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


Note = Callable[..., dict[str, float]]


@pytest.fixture
def note(record_figure: RecordFigure) -> Note:
    """Write down how a case went, against what its bucket allows."""

    def write(case: str, sandbox: Sandbox, *, at_first: float | None = None) -> dict[str, float]:
        reserve = sandbox.bucket.limit / 10
        figure: dict[str, float] = {
            "requests": len(sandbox.requests),
            "refused": refused(sandbox),
            "seconds": seconds_of(sandbox),
            "min_seconds": min_seconds(sandbox, at_first=at_first),
            "lowest": min(record.remaining or 0 for record in sandbox.requests),
            "reserve": reserve,
        }
        record_figure("pacing", case=case, **figure)
        return figure

    return write


@pytest.mark.reliability
async def test_800_changes_take_no_longer_than_a_bucket_of_400_allows(
    save_project: SaveProject, make_sandbox: MakeSandbox, note: Note
) -> None:
    sandbox = make_sandbox(snapshots=800, rate_limit=400, rate_refill_per_second=40, action_seconds=1)
    save_project("paced", sandbox)

    done = await run(protect_snapshots, projects=["paced"])

    assert Counter(outcomes_of(done).values()) == {"protected": 800}
    runs = await task_runs_of(done.record.id)
    assert {one.state.type.value for one in runs if one.state} == {"COMPLETED"}
    told = note("800 changes, a bucket of 400 that refills at 40 a second", sandbox)
    assert told["seconds"] <= 1.25 * told["min_seconds"]
    assert told["refused"] <= 5
    assert told["lowest"] >= told["reserve"] / 2


async def test_a_reset_an_hour_ahead_makes_no_request_sleep_an_hour(
    save_project: SaveProject, make_sandbox: MakeSandbox, note: Note
) -> None:
    sandbox = make_sandbox(snapshots=7)
    sandbox.bucket.remaining = 0  # of 3600, which come back one a second
    save_project("paced", sandbox)

    done = await run(protect_snapshots, projects=["paced"])

    assert done.state.is_completed()
    told = note("7 changes, a bucket of 3600 that is empty: Reset is an hour ahead", sandbox, at_first=0)
    assert told["seconds"] <= 2.5 * told["min_seconds"]  # half of what flows back is left to others
    log = await log_of(done.record.id, until=end_of(done))
    assert "Rate limited, the credentials block 'paced': " in log


async def test_a_limit_of_7200_goes_twice_as_fast(
    save_project: SaveProject, make_sandbox: MakeSandbox, note: Note
) -> None:
    sandbox = make_sandbox(snapshots=16, rate_limit=7200)
    sandbox.bucket.remaining = 720  # the reserve
    save_project("paced", sandbox)

    done = await run(protect_snapshots, projects=["paced"])

    assert done.state.is_completed()
    above_reserve = (sandbox.requests[0].remaining or 0) + 1 - 720  # the bucket refills while the run starts
    told = note("16 changes, a bucket of 7200 that is at its reserve", sandbox, at_first=above_reserve)
    assert told["refused"] == 0
    assert 0.8 * told["min_seconds"] <= told["seconds"] <= 1.25 * told["min_seconds"]
    assert told["lowest"] >= 0.9 * told["reserve"]
    log = await log_of(done.record.id, until=end_of(done))
    assert "requests left; throttling to" in log


async def test_a_bucket_that_another_user_empties_slows_a_run_down_and_does_not_stop_it(
    save_project: SaveProject, make_sandbox: MakeSandbox, note: Note
) -> None:
    sandbox = make_sandbox(snapshots=60, rate_limit=400, rate_refill_per_second=40)
    sandbox.bucket.remaining = 0
    save_project("paced", sandbox)

    with another_user(sandbox, requests_per_second=30):
        done = await run(protect_snapshots, projects=["paced"])

    assert done.state.is_completed()
    note("60 changes, an empty bucket of which another user takes three quarters", sandbox, at_first=0)
    assert not unprotected(sandbox)


def test_two_processes_share_the_bucket_without_failing(
    engine: PrefectServer, save_project: SaveProject, make_sandbox: MakeSandbox, note: Note
) -> None:
    sandbox = make_sandbox(snapshots=200, rate_limit=100, rate_refill_per_second=40, latency_seconds=0.02)
    save_project("paced", sandbox)
    begin = subprocess.Popen
    command = [*COMMAND, "--project", "paced"]
    both = [
        begin(command, cwd=ROOT, env=environment_of(engine), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    printed = [process.communicate()[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    told = note("two processes with 200 changes each, a bucket of 100 at 40 a second", sandbox)
    assert told["seconds"] <= 1.5 * told["min_seconds"] + 5  # one of them may be up seconds before the other
    assert not unprotected(sandbox)
