"""The waiter: each row of the table of scenarios, against a scripted source and a clock of its own."""

import asyncio
from collections.abc import Sequence
from itertools import chain, pairwise

import pytest

from hetzner_cloud.action_waiter import Progress, wait_for_actions
from hetzner_cloud.errors import (
    ActionError,
    ActionFailedError,
    ActionNotFoundError,
    ActionUnfinishedError,
    AuthenticationError,
    HetznerCloudError,
    InvalidArgumentError,
    NotFoundError,
    ServerError,
    TransportError,
)
from hetzner_cloud.models import Action
from hetzner_cloud.settings import Settings
from hetzner_cloud.unreadable_entries import UnreadableActionsError, UnreadableEntry

ERROR = {"code": "action_failed", "message": "Action failed"}
State = (
    tuple[str, float] | HetznerCloudError | None
)  # status and progress, a failed poll, or not in the answer


def action(action_id: int, status: str = "running", progress: float = 0, **more: object) -> Action:
    return Action.model_validate(
        {
            "id": action_id,
            "status": status,
            "progress": progress,
            "command": "change_protection",
            "resources": [{"id": action_id + 1000, "type": "image"}],
            "error": ERROR if status == "error" else None,
            **more,
        }
    )


class Script:
    """A source that returns each action's states in turn, the last one forever, and a clock it moves."""

    def __init__(self, **states: Sequence[State]) -> None:
        self.states = {int(name[1:]): list(of_action) for name, of_action in states.items()}
        self.asked: list[list[int]] = []
        self.progress: list[Progress] = []
        self.told_at: list[float] = []
        self.now = 0.0

    async def list_actions(self, ids: Sequence[int]) -> list[Action]:
        self.asked.append(list(ids))
        answer = []
        states = {action_id: self._next(action_id) for action_id in ids}
        for action_id, state in states.items():
            if isinstance(state, HetznerCloudError):
                raise state
            if state is not None:
                answer.append(action(action_id, *state))
        return answer

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def tell(self, progress: Progress) -> None:
        self.progress.append(progress)
        self.told_at.append(self.now)

    def _next(self, action_id: int) -> State:
        states = self.states[action_id]
        return states.pop(0) if len(states) > 1 else states[0]

    async def wait(self, *actions: Action, timeout_seconds: float = 60) -> list[Action]:
        return await wait_for_actions(
            self,
            actions,
            timeout_seconds=timeout_seconds,
            on_progress=self.tell,
            settings=Settings(),
            clock=lambda: self.now,
            sleep=self.sleep,
        )


RUNNING, SUCCESS, FAILED = ("running", 50.0), ("success", 100.0), ("error", 100.0)


async def test_one_running_action_is_done_after_exactly_two_polls() -> None:
    script = Script(a1=[RUNNING, SUCCESS])
    assert [ended.status for ended in await script.wait(action(1))] == ["success"]
    assert script.asked == [[1], [1]]


@pytest.mark.parametrize("actions", [[], [action(1, "success")]], ids=["nothing", "already success"])
async def test_no_request_is_sent_for(actions: list[Action]) -> None:
    script = Script()
    assert await script.wait(*actions) == actions
    assert script.asked == []


async def test_an_action_that_failed_before_is_reported_without_a_request() -> None:
    script = Script()
    with pytest.raises(ActionFailedError, match="action_failed"):
        await script.wait(action(1, "error"))
    assert script.asked == []


async def test_an_action_is_missing_after_a_few_empty_responses() -> None:
    script = Script(a1=[None])
    with pytest.raises(ActionNotFoundError, match="not found: action 1 ") as caught:
        await script.wait(action(1))
    assert [missing.id for missing in caught.value.missing] == [1]
    assert script.asked == [[1]] * 4


async def test_an_action_is_not_missing_when_the_response_only_lagged() -> None:
    script = Script(a1=[None, None, RUNNING, None, SUCCESS])
    assert [ended.id for ended in await script.wait(action(1))] == [1]


async def test_a_cancelled_wait_names_what_still_ran() -> None:
    script, asked = Script(a1=[SUCCESS], a2=[RUNNING]), asyncio.Event()

    async def sleep(_seconds: float) -> None:
        if script.asked:
            asked.set()
            await asyncio.Event().wait()

    waiting = asyncio.create_task(
        wait_for_actions(script, [action(1), action(2)], timeout_seconds=60, sleep=sleep)
    )
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError, match=r"still running: action 2 \(.*\) of image 1002 at 50 %"):
        await waiting


async def test_a_cancelled_wait_logs_all_that_still_ran_and_names_the_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    actions = [action(number) for number in range(1, 61)]
    script, begun = Script(), asyncio.Event()

    async def sleep(_seconds: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    waiting = asyncio.create_task(wait_for_actions(script, actions, timeout_seconds=60, sleep=sleep))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError, match=r"and 50 more$"):
        await waiting
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(any(f"action {number} (" in line for line in lines) for number in range(1, 61))


@pytest.mark.parametrize(
    "fault",
    [
        ServerError("bad gateway", "bad_gateway", 502),
        ServerError("oops", None, 500),
        TransportError("the connection broke", "connection_lost"),
        NotFoundError("not found", "not_found", 404),
    ],
    ids=["502", "500", "cut connection", "404"],
)
async def test_a_failed_poll_is_no_failed_action_when_it_was(fault: HetznerCloudError) -> None:
    script = Script(a1=[fault, SUCCESS])
    assert [ended.status for ended in await script.wait(action(1))] == ["success"]


async def test_only_running_actions_are_polled_and_progress_never_decreases() -> None:
    script = Script(a2=[RUNNING, SUCCESS], a3=[("running", 80), ("running", 20), FAILED])
    with pytest.raises(ActionFailedError) as caught:
        await script.wait(action(1, "success"), action(2), action(3))
    assert script.asked == [[2, 3], [2, 3], [3]]
    assert [ended.id for ended in caught.value.succeeded] == [1, 2]
    assert [(failed.id, failed.error and failed.error.code) for failed in caught.value.failed] == [
        (3, "action_failed")
    ]
    percents = [progress.percent for progress in script.progress]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert [[ended.id for ended in progress.finished] for progress in script.progress] == [[1], [], [2], [3]]


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (25, 1), (26, 2), (50, 2), (51, 3), (500, 20)])
async def test_each_id_is_polled_once_a_round_when_there_are_many(count: int, requests: int) -> None:
    script = Script(**{f"a{number}": [SUCCESS] for number in range(1, count + 1)})
    await script.wait(*(action(number) for number in range(1, count + 1)))
    assert len(script.asked) == requests
    assert sorted(chain.from_iterable(script.asked)) == list(range(1, count + 1))


async def test_every_failure_is_reported_in_order_with_its_error_details() -> None:
    script = Script(a1=[FAILED], a2=[SUCCESS], a3=[RUNNING, FAILED], a4=[SUCCESS])
    with pytest.raises(ActionFailedError) as caught:
        await script.wait(*(action(number) for number in (1, 2, 3, 4)))
    assert [failed.id for failed in caught.value.failed] == [1, 3]
    assert [ended.id for ended in caught.value.succeeded] == [2, 4]
    for number in (1, 3):
        about = f"action {number} (change_protection) of image {number + 1000}: Action failed (action_failed)"
        assert about in str(caught.value)


async def test_one_error_lists_every_unfinished_action_when_the_timeout_is_reached() -> None:
    script = Script(a1=[RUNNING], a2=[SUCCESS], a3=[("running", 80)])
    with pytest.raises(ActionUnfinishedError, match="waited 5 s") as caught:
        await script.wait(*(action(number) for number in (1, 2, 3)), timeout_seconds=5)
    assert [unfinished.id for unfinished in caught.value.unfinished] == [1, 3]
    assert "action 3 (change_protection) of image 1003 at 80 %" in str(caught.value)
    assert script.now == pytest.approx(5)


async def test_a_source_that_never_responds_is_left_shortly_after_the_timeout() -> None:
    class Silent(Script):
        async def list_actions(self, ids: Sequence[int]) -> list[Action]:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(ActionUnfinishedError):
        await wait_for_actions(
            Silent(),
            [action(1)],
            timeout_seconds=0.02,
            settings=Settings(poll_interval_seconds=0.01, request_timeout_seconds=0.01),
        )


async def test_an_unknown_status_counts_as_running_until_the_timeout() -> None:
    script = Script(a1=[("paused", 100.0)])
    with pytest.raises(ActionUnfinishedError) as caught:
        await script.wait(action(1), timeout_seconds=5)
    assert [unfinished.status for unfinished in caught.value.unfinished] == ["paused"]


async def test_a_rejected_token_ends_the_wait_at_once() -> None:
    script = Script(a1=[AuthenticationError("refused", "unauthorized", 401)])
    with pytest.raises(ActionUnfinishedError, match="polling them failed: refused"):
        await script.wait(action(1))
    assert script.asked == [[1]]


async def test_an_error_that_stays_ends_the_wait_after_a_few_polls() -> None:
    script = Script(a1=[NotFoundError("nothing here", "not_found", 404)])
    with pytest.raises(ActionUnfinishedError, match="nothing here"):
        await script.wait(action(1))
    assert len(script.asked) == 4


async def test_actions_are_polled_no_more_than_twice_a_second() -> None:
    script = Script(a1=[RUNNING])
    with pytest.raises(ActionError):
        await script.wait(action(1))
    pauses = [later - earlier for earlier, later in pairwise(script.told_at)]
    assert min(pauses[:-1]) >= 0.5
    assert max(pauses) == pytest.approx(5)
    assert len(script.asked) < 25


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_a_timeout_is_rejected_before_any_request_when_it_is(seconds: float) -> None:
    script = Script(a1=[SUCCESS])
    with pytest.raises(InvalidArgumentError, match="timeout"):
        await script.wait(action(1), timeout_seconds=seconds)
    assert script.asked == []


async def test_many_actions_are_polled_early_once_and_then_less_often() -> None:
    ids = range(1, 2_001)  # 80 requests a round
    script = Script(**{f"a{action_id}": [RUNNING, RUNNING, SUCCESS] for action_id in ids})
    await script.wait(*map(action, ids))
    assert [round(later - earlier, 1) for earlier, later in pairwise(script.told_at)] == [0.5, 1.6, 1.6]


async def test_the_time_that_reporting_takes_is_part_of_the_delay() -> None:
    script = Script(a1=[RUNNING, SUCCESS])

    async def tell_slowly(_progress: Progress) -> None:
        script.now += 0.4

    await wait_for_actions(
        script,
        [action(1)],
        timeout_seconds=60,
        on_progress=tell_slowly,
        settings=Settings(),
        clock=lambda: script.now,
        sleep=script.sleep,
    )
    assert script.now == pytest.approx(0.5 + 0.5 + 0.4)


# A response with an action that cannot be read


class Corrupted(Script):
    """A source whose responses also have an entry that cannot be read, or had one in the first so many."""

    def __init__(self, entry: UnreadableEntry, *, polls: int = 1_000, **states: Sequence[State]) -> None:
        super().__init__(**states)
        self.entry, self.polls = entry, polls

    async def list_actions(self, ids: Sequence[int]) -> list[Action]:
        actions = await super().list_actions(ids)
        if len(self.asked) <= self.polls:
            raise UnreadableActionsError(actions, [self.entry])
        return actions


@pytest.mark.parametrize("action_id", [2, None])
async def test_the_others_finish_when_one_cannot_be_read(action_id: int | None) -> None:
    bad = UnreadableEntry(id=action_id, reason="status: Field required")
    script = Corrupted(bad, a1=[RUNNING, SUCCESS], a2=[None], a3=[RUNNING, RUNNING, RUNNING, FAILED])
    with pytest.raises(ActionFailedError) as caught:
        await script.wait(action(1), action(2), action(3))
    error = caught.value
    assert [one.id for one in error.succeeded] == [1]
    assert [one.id for one in error.failed] == [3]
    assert [one.id for one in error.unfinished] == [2]
    assert not error.missing
    assert "status: Field required" in error.reason
    assert len(script.asked) == 4


async def test_an_action_is_read_later_when_it_could_not_be_before() -> None:
    script = Corrupted(UnreadableEntry(id=1, reason="status: no"), polls=3, a1=[SUCCESS])
    assert [one.status for one in await script.wait(action(1))] == ["success"]


async def test_an_action_is_missing_when_another_cannot_be_read() -> None:
    script = Corrupted(UnreadableEntry(id=2, reason="status: no"), a1=[None], a2=[None])
    with pytest.raises(ActionUnfinishedError) as caught:
        await script.wait(action(1), action(2))
    assert [one.id for one in caught.value.missing] == [1]
    assert [one.id for one in caught.value.unfinished] == [2]


async def test_an_action_is_not_taken_as_finished_when_it_is_also_there_unreadable() -> None:
    script = Corrupted(UnreadableEntry(id=1, reason="status: no"), a1=[SUCCESS])
    with pytest.raises(ActionUnfinishedError):
        await script.wait(action(1))


async def test_the_reason_names_both_when_others_ran_into_the_timeout() -> None:
    script = Corrupted(UnreadableEntry(id=2, reason="status: no"), a1=[RUNNING], a2=[None])
    with pytest.raises(ActionUnfinishedError, match="waited 60 s; polling 1 of them failed: 1 of 2 actions"):
        await script.wait(action(1), action(2))


async def test_polls_that_fail_together_are_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hetzner_cloud")
    fault = ServerError("GET /actions returned 500", "http_500", 500)
    states: list[State] = [fault, SUCCESS]
    script = Script(**{f"a{number}": states.copy() for number in range(1, 101)})
    await script.wait(*(action(number) for number in range(1, 101)))
    assert [record.getMessage() for record in caplog.records] == [
        f"Polling 100 running actions failed: {fault}"
    ]
