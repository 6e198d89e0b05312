"""What is done about a batch's flow run, as a table of what was seen of it."""

from typing import Any

import pytest
from prefect.client.schemas.objects import StateType

from flows import _protect_project
from flows._batch_decisions import MAX_WAITS, Patience, RunStatus, decide, describe_wait, waits_too_long

S = StateType
PATIENCE = Patience(
    warn_seconds=10, start_seconds=20, silent_seconds=30, work_seconds=100, total_seconds=1_000
)


@pytest.mark.parametrize("state", [None, S.CRASHED, S.FAILED, S.COMPLETED])
def test_a_run_that_ended_without_a_report_is_started_again_unless_it_was_the_last_start(
    state: StateType | None,
) -> None:
    assert decide(RunStatus(state), PATIENCE, is_last_start=False) == "start again"
    assert decide(RunStatus(state), PATIENCE, is_last_start=True) == "give up"


def test_a_run_that_someone_cancelled_is_not_started_again() -> None:
    assert decide(RunStatus(S.CANCELLED), PATIENCE, is_last_start=False) == "give up"
    cancelling = RunStatus(S.CANCELLING, silent_seconds=99)
    assert decide(cancelling, PATIENCE, is_last_start=False) == "wait"
    assert decide(RunStatus(S.CANCELLING, silent_seconds=101), PATIENCE, is_last_start=False) == "give up"


@pytest.mark.parametrize(
    ("state", "seen", "decision", "of_the_last_start"),
    [
        (S.PENDING, {"silent_seconds": 20}, "wait", "wait"),
        (S.PENDING, {"silent_seconds": 21}, "start again", "wait"),
        (S.PENDING, {"silent_seconds": 101}, "start again", "give up"),
        (S.RUNNING, {"silent_seconds": 30}, "wait", "wait"),
        (S.RUNNING, {"silent_seconds": 31}, "start again", "wait"),
        (S.RUNNING, {"silent_seconds": 101}, "start again", "give up"),
        (S.RUNNING, {"silent_seconds": 99, "expects_heartbeats": False}, "wait", "wait"),
        (S.RUNNING, {"silent_seconds": 101, "expects_heartbeats": False}, "start again", "give up"),
        (S.RUNNING, {"silent_seconds": 0, "age_seconds": 1_000}, "wait", "wait"),
        (S.RUNNING, {"silent_seconds": 0, "age_seconds": 1_001}, "give up", "give up"),
        (S.SCHEDULED, {"silent_seconds": 900, "idle_seconds": 100}, "wait", "wait"),
        (S.SCHEDULED, {"silent_seconds": 900, "idle_seconds": 101}, "give up", "give up"),
        (S.SCHEDULED, {"silent_seconds": 900, "idle_seconds": 0, "age_seconds": 1_001}, "give up", "give up"),
    ],
    ids=str,
)
def test_a_run_is_waited_for_as_long_as_something_may_be_in_progress(
    state: StateType, seen: dict[str, Any], decision: str, of_the_last_start: str
) -> None:
    assert decide(RunStatus(state, **seen), PATIENCE, is_last_start=False) == decision
    assert decide(RunStatus(state, **seen), PATIENCE, is_last_start=True) == of_the_last_start


@pytest.mark.parametrize("state", list(StateType))
def test_only_a_run_that_no_worker_takes_or_starts_is_warned_of(state: StateType) -> None:
    waits = state in {S.SCHEDULED, S.PENDING}
    assert waits_too_long(RunStatus(state, silent_seconds=11), PATIENCE) is waits
    assert not waits_too_long(RunStatus(state, silent_seconds=10), PATIENCE)


@pytest.mark.parametrize("timeout_seconds", [0.1, 900, 86_400])
def test_the_patience_follows_from_how_long_the_waits_of_a_run_may_take(timeout_seconds: float) -> None:
    assert MAX_WAITS == _protect_project._MAX_ROUNDS
    patience = Patience.for_timeout(timeout_seconds)
    assert patience.work_seconds > MAX_WAITS * timeout_seconds
    assert patience.total_seconds > patience.work_seconds
    assert patience.warn_seconds < patience.start_seconds < patience.work_seconds


@pytest.mark.parametrize(
    ("online", "is_paused", "text"),
    [
        (0, False, "no worker is online; start one: `prefect worker start --pool hetzner-cloud --limit 5`"),
        (1, False, "1 worker online, perhaps at the limit"),
        (2, True, "paused; resume it in the UI"),
    ],
)
def test_a_wait_says_what_to_do(online: int, *, is_paused: bool, text: str) -> None:
    said = describe_wait("hetzner-cloud", "default", online=online, is_paused=is_paused)
    assert said.startswith("work pool 'hetzner-cloud', work queue 'default': ")
    assert text in said
