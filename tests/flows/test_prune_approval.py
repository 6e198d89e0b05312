"""The approval of a prune plan: what was approved is deleted, and nothing else, and not much later."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any, Literal, cast
from uuid import uuid4

import pytest

from flows._approval import Approval
from flows._prune_approval import PruneApproval, PruneDecision
from snapshot_protection.prune_plan import PruneApprovalRequest
from tests.support.prune_trials import Trial, prune_trial
from tests.support.watched_prune_runs import PruneHistory, outcomes_of, prune_history
from tests.support.watched_runs import WatchedRun, within


@pytest.fixture
def history() -> Iterator[PruneHistory]:
    with prune_history() as made:
        yield made


async def test_a_plan_that_did_not_change_is_applied_after_one_approval(history: PruneHistory) -> None:
    watched = WatchedRun()
    assert await history.prune(watched, approval=True)
    assert history.asked == [history.candidates]
    assert watched.deleted == {*history.candidates}


async def test_what_takes_the_place_of_an_approved_snapshot_is_asked_for_with_the_difference(
    history: PruneHistory,
) -> None:
    first, second = history.candidates
    history.between = [lambda: history.world.sandbox.delete_image(first)]
    watched = WatchedRun()
    assert await history.prune(watched, approval=True, max_deletions=1)
    assert history.asked == [[first], [second]]
    asked_again = history.requests[1]
    assert asked_again.attempt == 2
    assert len(asked_again.differences) == 2
    assert f"{first}" in asked_again.differences[0]
    assert asked_again.differences[0].endswith("no longer to be deleted")
    assert f"{second}" in asked_again.differences[1]
    assert asked_again.differences[1].endswith("also to be deleted")
    assert watched.deleted == {second}


async def test_a_snapshot_that_is_another_one_by_now_is_asked_for_again(history: PruneHistory) -> None:
    first, second = history.candidates
    history.between = [lambda: history.world.sandbox.images[second].update(description="the only good one")]
    watched = WatchedRun()
    assert await history.prune(watched, approval=True)
    assert history.asked == [[first, second], [first, second]]
    [difference] = history.requests[1].differences
    assert f"{second}" in difference
    assert watched.deleted == {first, second}


async def test_what_is_kept_by_now_needs_no_approval_and_is_not_deleted(history: PruneHistory) -> None:
    first, second = history.candidates
    history.between = [lambda: history.world.sandbox.add_server(image=first)]
    watched = WatchedRun()
    report = await history.prune(watched, approval=True)
    assert report
    assert history.asked == [[first, second]]
    assert outcomes_of(report)[first] == "in_use"
    assert watched.deleted == {second}


async def test_a_plan_that_changes_each_time_is_given_up_and_nothing_was_deleted(
    history: PruneHistory,
) -> None:
    image = history.world.sandbox.images[history.candidates[0]]
    history.between = [partial(image.update, description=f"changed {number}") for number in range(4)]
    watched = WatchedRun()
    with pytest.raises(Exception, match=r"The plan changed 3 times before it could be applied"):
        await history.prune(watched, approval=True)
    assert len(history.asked) == 3
    assert not watched.writes


async def test_a_rejected_plan_changes_nothing(history: PruneHistory) -> None:
    history.decision = "reject"
    watched = WatchedRun()
    assert await history.prune(watched, approval=True) is None
    assert history.asked == [history.candidates]
    assert not watched.writes


class Suspended(BaseException):
    """In place of Prefect's signal."""


class Approvals:
    """What is stored of one run, and the answer to its first request."""

    def __init__(self, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trial = trial
        self.stored: list[PruneApprovalRequest] = []
        self.answer: Approval | None = None
        doubles: dict[str, Any] = {
            "load_request": self._load,
            "save_request": self._save,
            "has_suspended": self._has_suspended,
            "request_approval": self._request,
        }
        for name, double in doubles.items():
            monkeypatch.setattr(f"flows._prune_approval.{name}", double)

    async def decide(self) -> PruneDecision:
        """Start the run from the top, as each time that it is resumed."""
        trial = self.trial
        approval = PruneApproval([trial.world.project], trial.options(), uuid4())
        decision = await within(WatchedRun(), approval.decide(with_approval=True))
        return cast("PruneDecision", decision)

    async def suspend(self, decision: Literal["apply", "reject"]) -> None:
        """Request approval; it is decided on."""
        with pytest.raises(Suspended):
            await self.decide()
        self.answer = Approval(decision=decision, approved_by="on call")

    async def _load(self, *_given: object) -> PruneApprovalRequest | None:
        return self.stored[-1] if self.stored else None

    async def _save(self, _key: str, request: PruneApprovalRequest, _page: str) -> None:
        self.stored.append(request)

    async def _has_suspended(self, *_given: object) -> bool:
        return True

    async def _request(self, key: str, _form: str) -> Approval:
        if self.answer is None or key != self.stored[0].key:
            raise Suspended
        return self.answer


@pytest.mark.parametrize(("hours", "is_used"), [(47, True), (49, False)])
async def test_an_approval_is_requested_again_when_the_run_goes_on_days_later(
    monkeypatch: pytest.MonkeyPatch, hours: float, *, is_used: bool
) -> None:
    """No worker was there to resume it, and the nightly runs went on."""
    with prune_trial() as trial:
        approvals = Approvals(trial, monkeypatch)
        await approvals.suspend("apply")
        trial.world.jump(hours)
        with nullcontext() if is_used else pytest.raises(Suspended):
            await approvals.decide()
        last = approvals.stored[-1]
        assert (last.used, last.attempt) == (is_used, 1 if is_used else 2)
        assert last.differences == (() if is_used else ("it was requested more than 48 hours ago",))


async def test_nothing_is_requested_again_when_nothing_is_left_to_delete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with prune_trial() as trial:
        approvals = Approvals(trial, monkeypatch)
        await approvals.suspend("apply")
        trial.world.jump(hours=49)
        for image_id in trial.ids[:2]:
            trial.world.sandbox.delete_image(image_id)
        assert not (await approvals.decide()).plan.snapshots


async def test_a_rejected_plan_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with prune_trial() as trial:
        approvals = Approvals(trial, monkeypatch)
        await approvals.suspend("reject")
        assert (await approvals.decide()).rejected
        assert [one.used for one in approvals.stored] == [False, True]
