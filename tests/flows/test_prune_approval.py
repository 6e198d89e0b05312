"""What was approved is deleted, and nothing else; the plan is made again after each answer."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.support.prune_world import WatchedRun
from tests.support.watched_prune_runs import PruneHistory, outcomes_of, prune_history


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
