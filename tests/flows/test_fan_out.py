"""Batches whose flow runs crash, hang, vanish or cannot be seen: each project is reported once."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from json import JSONDecodeError
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending, Running, Scheduled

from flows._batch import Batch
from flows._batch_decisions import Patience
from flows._batch_runs import BatchRuns
from flows._fan_out import FanOut
from hetzner_cloud.errors import InvalidArgumentError
from records.prefect_errors import describe_prefect_error
from snapshot_protection.protection_report import ProjectReport, ProtectionReport
from tests.support.scripted_runs import Life, ScriptedRuns, completing, report_on

PATIENCE = Patience.for_timeout(900)
HOUR = 3600.0
FOREVER = float("inf")


def reported(names: Sequence[str], *, image_id: int = 7) -> list[ProjectReport]:
    projects = report_on(names, image_id=image_id).projects
    return [project.model_copy(update={"clock": 1}) for project in projects]


DONE = reported(["a", "b"])


async def protect(
    runs: ScriptedRuns, *projects: Sequence[str], max_concurrent: int = 4
) -> list[ProjectReport]:
    batches = [Batch(number, names, {}) for number, names in enumerate(projects or [["a", "b"]], 1)]
    fan_out = FanOut(
        cast("BatchRuns", runs),
        PATIENCE,
        max_concurrent=max_concurrent,
        clock=runs.clock,
        sleep=runs.sleep,
    )
    reports = await fan_out.protect(batches)
    assert [report.project for report in reports] == [name for batch in batches for name in batch.projects]
    assert not runs.lives
    return reports


async def message_of_lost(runs: ScriptedRuns) -> str:
    errors = [report.error for report in await protect(runs)]
    assert {error.code for error in errors if error} == {"report_missing"}
    [message] = {error.message for error in errors if error}
    assert str(list(runs.begun)[-1]) in message
    return message


def rejection(status: int) -> Exception:
    address = "http://user:secret@prefect/api/flow_runs/filter"
    request = httpx.Request("POST", address)
    response = httpx.Response(status, request=request)
    return PrefectHTTPStatusError(f"{status} for url {address}", request=request, response=response)


async def test_the_clocks_of_two_batches_are_not_taken_for_one() -> None:
    runs = ScriptedRuns(*(Life([(5, Completed())], report=report_on([name])) for name in "ab"))
    assert [report.clock for report in await protect(runs, ["a"], ["b"])] == [1, 2]


@pytest.mark.parametrize("state", [Completed(), Failed()], ids=lambda state: state.name)
async def test_a_run_that_published_a_report_is_not_started_again(state: State[Any]) -> None:
    runs = ScriptedRuns(Life([(5, state)], report=report_on(["a", "b"])))
    assert await protect(runs) == DONE
    assert [start[1:] for start in runs.started] == [(1, 1)]
    assert not runs.cancelled


@pytest.mark.parametrize("end", [Crashed(), Failed(), Completed(), None], ids=str)
async def test_a_run_that_left_no_report_is_started_again(end: State[Any] | None) -> None:
    runs = ScriptedRuns(Life([(5, end)]), Life([(5, end)]), completing(10))
    assert await protect(runs) == DONE
    assert [start[1:] for start in runs.started] == [(1, 1), (1, 2), (1, 3)]
    assert runs.looks == (3 if end else 1)  # for a report, once in each final state


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (Crashed(message="killed"), "Crashed: killed"),
        (Failed(message="a\nline"), "Failed: a line"),
        (None, "deleted"),
    ],
    ids=str,
)
async def test_each_project_has_an_error_when_three_runs_left_no_report(
    end: State[Any] | None, state: str
) -> None:
    message = await message_of_lost(ScriptedRuns(*(Life([(5, end)]) for _ in range(3))))
    assert message.endswith(f"published no report (state: {state})")


async def test_a_run_that_someone_cancelled_is_not_started_again() -> None:
    message = await message_of_lost(ScriptedRuns(Life([(5, Cancelled())])))
    assert message.endswith("published no report (state: Cancelled: -)")


async def test_a_project_that_the_report_leaves_out_has_an_error() -> None:
    one, two = await protect(ScriptedRuns(completing(9, names=["a", "someone else's"])))
    assert one.error is None
    assert two.error
    assert two.error.code == "report_missing"


async def test_batches_are_followed_together_and_no_more_are_in_progress_than_allowed() -> None:
    names = [[str(number)] for number in range(7)]
    runs = ScriptedRuns(*(completing(30, names=each) for each in names))
    reports = await protect(runs, *names, max_concurrent=3)
    assert not [report for report in reports if report.error]
    assert runs.at_once == 3
    assert [batch for _, batch, _ in runs.started] == list(range(1, 8))


@pytest.mark.parametrize("seconds", [100.0, 10 * HOUR])
async def test_reports_are_gathered_after_the_prefect_api_was_unreachable(
    seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    runs = ScriptedRuns(completing(50), completing(60, names=["c"]), unreachable=(6, 6 + seconds))
    with caplog.at_level(logging.INFO):
        reports = await protect(runs, ["a", "b"], ["c"])
    assert not [report for report in reports if report.error]
    assert len(runs.started) == 2
    assert caplog.text.count("The batches cannot be polled: ConnectError") == 1
    assert caplog.text.count("Polling the batches again") == 1


@pytest.mark.parametrize(
    "error",
    [
        *(rejection(status) for status in (500, 503, 429, 404, 401)),
        httpx.ReadTimeout("slow"),
        JSONDecodeError("", "<html>", 0),
    ],
    ids=describe_prefect_error,
)
async def test_an_error_that_may_pass_is_tried_again(error: Exception) -> None:
    assert await protect(ScriptedRuns(completing(50), unreachable=(6, 60), error=error)) == DONE


async def test_a_batch_is_started_once_the_prefect_api_is_reachable() -> None:
    assert await protect(ScriptedRuns(completing(10), unreachable=(0, 500))) == DONE


@pytest.mark.parametrize(
    ("state", "seconds"), [(Pending(), 400.0), (Scheduled(), 3 * HOUR)], ids=["Pending", "Scheduled"]
)
async def test_what_is_not_seen_while_the_prefect_api_is_unreachable_is_held_against_no_run(
    state: State[Any], seconds: float
) -> None:
    states = [(2.0, state), (seconds + 100, Running()), (seconds + 110, Completed())]
    runs = ScriptedRuns(Life(states, report=report_on(["a", "b"])), unreachable=(6, 6 + seconds))
    assert await protect(runs) == DONE
    assert not runs.crashed


async def test_heartbeats_that_are_not_seen_while_the_prefect_api_is_unreachable_are_missed_by_none() -> None:
    runs = ScriptedRuns(completing(2 * HOUR), unreachable=(100, 100 + HOUR))
    assert await protect(runs) == DONE
    assert not runs.crashed


async def test_a_prefect_api_that_stays_unreachable_ends_the_wait() -> None:
    runs = ScriptedRuns(completing(50), unreachable=(6, FOREVER))
    assert "ConnectError" in await message_of_lost(runs)
    assert runs.now > PATIENCE.total_seconds


async def test_a_rejection_that_stays_ends_the_wait_sooner_and_its_address_is_not_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = ScriptedRuns(completing(50), unreachable=(6, FOREVER), error=rejection(401))
    message = await message_of_lost(runs)
    assert "the Prefect API returned 401" in message
    assert PATIENCE.work_seconds < runs.now < PATIENCE.work_seconds + 60
    assert "secret" not in message + caplog.text


async def test_a_defect_ends_the_wait_at_once_and_is_reported_for_each_project() -> None:
    runs = ScriptedRuns(completing(50), unreachable=(6, FOREVER), error=KeyError("state"))
    assert "KeyError" in await message_of_lost(runs)
    assert runs.now < 60


async def test_runs_are_followed_while_no_heartbeats_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    class WithoutEvents(ScriptedRuns):
        async def read_last_heartbeats(self, ids: Iterable[UUID]) -> Mapping[UUID, datetime]:
            if self.now > 300:
                raise rejection(500)
            return await super().read_last_heartbeats(ids)

    runs = WithoutEvents(completing(HOUR))
    assert await protect(runs) == DONE
    assert not runs.crashed
    assert caplog.text.count("Heartbeats cannot be read: the Prefect API returned 500") == 1


async def test_a_batch_that_cannot_be_started_stops_no_other() -> None:
    rejected = InvalidArgumentError("There is no deployment")
    lost, done = await protect(ScriptedRuns(rejected, completing(10, names=["b"])), ["a"], ["b"])
    assert lost.error
    assert "There is no deployment" in lost.error.message
    assert done.error is None


async def test_a_request_that_always_fails_for_one_batch_stops_no_other() -> None:
    failing = [rejection(500) for _ in range(3)]
    runs = ScriptedRuns(failing[0], completing(10, names=["b"]), *failing[1:], completing(10, names=["a"]))
    reports = await protect(runs, ["a"], ["b"])
    assert not [report for report in reports if report.error]
    assert [start[1:] for start in runs.started] == [(2, 1), (1, 1)]


class FailingStarts(ScriptedRuns):
    """The first batch cannot be started for some time."""

    until = 0.0

    async def start(self, parameters: Mapping[str, Any], *, batch: int, number: int) -> FlowRun:
        if batch == 1 and self.now < self.until:
            raise rejection(500)
        return await super().start(parameters, batch=batch, number=number)


async def test_a_batch_whose_requests_fail_for_too_long_is_reported_and_stops_no_other() -> None:
    runs = FailingStarts(completing(10, names=["b"]))
    runs.until = FOREVER
    lost, done = await protect(runs, ["a"], ["b"])
    assert lost.error
    assert lost.error.message == "the batch was not started; the Prefect API returned 500"
    assert done.error is None
    assert PATIENCE.work_seconds < runs.now < PATIENCE.work_seconds + 60


async def test_a_batch_that_could_be_started_at_last_has_all_its_time() -> None:
    late = Life([(HOUR, Running()), (HOUR + 9, Completed())], report=report_on(["a", "b"]))
    runs = FailingStarts(late)
    runs.until = 1.5 * HOUR
    assert await protect(runs) == DONE


async def test_an_error_that_passed_is_forgotten() -> None:
    class FailingTwice(FailingStarts):
        async def find_report(self, flow_run_id: UUID) -> ProtectionReport | None:
            self.looks += 1
            if self.looks == 1:
                raise rejection(500)
            return await super().find_report(flow_run_id)

    runs = FailingTwice(completing(10 * HOUR))
    runs.until = 10
    assert await protect(runs) == DONE


async def test_a_run_that_stays_pending_is_marked_crashed_and_started_again() -> None:
    runs = ScriptedRuns(Life([(2, Pending())]), completing(10))
    assert await protect(runs) == DONE
    assert len(runs.crashed) == 1
    assert PATIENCE.start_seconds < runs.started[1][0] < PATIENCE.start_seconds + 60


async def test_the_last_start_may_be_pending_for_longer() -> None:
    slow = Life([(2, Pending()), (900, Running()), (930, Completed())], report=report_on(["a", "b"]))
    runs = ScriptedRuns(Life([(2, Pending())]), Life([(2, Pending())]), slow)
    assert await protect(runs) == DONE
    assert len(runs.crashed) == 2


async def test_a_run_whose_heartbeats_end_is_marked_crashed_and_started_again() -> None:
    runs = ScriptedRuns(Life([(2, Running())], alive_until=200), completing(10))
    assert await protect(runs) == DONE
    assert len(runs.crashed) == 1
    assert 200 + PATIENCE.silent_seconds - 60 < runs.started[1][0] < 200 + PATIENCE.silent_seconds + 60


async def test_a_run_that_sends_heartbeats_is_waited_for_all_day() -> None:
    runs = ScriptedRuns(completing(20 * HOUR))
    assert await protect(runs) == DONE
    assert not runs.crashed


async def test_a_run_is_not_taken_for_dead_where_no_heartbeats_arrive() -> None:
    runs = ScriptedRuns(Life([(2, Running()), (HOUR, Completed())], report=report_on(["a", "b"])))
    assert await protect(runs) == DONE
    assert not runs.crashed


async def test_a_run_that_was_taken_for_dead_and_completes_first_is_reported_and_the_other_cancelled() -> (
    None
):
    first = Life(
        [(2, Running()), (300, Completed())], alive_until=60, report=report_on(["a", "b"], image_id=1)
    )
    second = completing(10 * HOUR, image_id=2)
    runs = ScriptedRuns(first, second)
    assert await protect(runs) == reported(["a", "b"], image_id=1)
    assert runs.crashed == [first.run.id]
    assert runs.cancelled == [second.run.id]


async def test_a_run_that_no_worker_takes_is_warned_of_once_then_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = ScriptedRuns(Life([]))
    message = await message_of_lost(runs)
    assert caplog.text.count("waits: no worker is online") == 1
    assert "(state: Cancelling: -)" in message
    assert message.endswith("no worker is online")
    assert runs.cancelled == list(runs.begun)
    assert PATIENCE.work_seconds < runs.now < PATIENCE.work_seconds + 60


async def test_a_run_waits_for_a_worker_as_long_as_other_batches_make_progress() -> None:
    late = Life([(5 * HOUR, Running()), (5 * HOUR + 9, Completed())], report=report_on(["b"]))
    runs = ScriptedRuns(completing(4.9 * HOUR, names=["a"]), late)
    reports = await protect(runs, ["a"], ["b"])
    assert not [report for report in reports if report.error]


async def test_a_run_that_completes_while_it_is_given_up_is_reported() -> None:
    life = Life([], report=report_on(["a", "b"]))

    class CompletingRuns(ScriptedRuns):
        async def cancel(self, run: object) -> None:
            life.set_from_outside.append((self.now, Completed()))

    assert await protect(CompletingRuns(life)) == DONE


async def test_a_run_that_lives_is_given_up_when_its_time_is_over() -> None:
    runs = ScriptedRuns(completing(100 * HOUR))
    message = await message_of_lost(runs)
    assert "min after its start" in message
    assert runs.cancelled == list(runs.begun)
    assert PATIENCE.total_seconds < runs.now < PATIENCE.total_seconds + 60
