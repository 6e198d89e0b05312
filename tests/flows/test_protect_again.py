"""Work that must not be left half done is finished in spite of cancellations, which go on afterwards."""

import asyncio
from typing import Any

import pytest

from flows._protect_again import finish_despite_cancellation
from sandbox import Fault
from sandbox.actions import ActionRecord
from tests.support.watched_prune_runs import outcomes_of, prune_history


class Work:
    """Takes two steps, which the test lets it do."""

    def __init__(self, *, fails: bool = False) -> None:
        self.begun = 0
        self.finished = 0
        self.may_finish = asyncio.Event()
        self.fails = fails

    async def do(self) -> str:
        self.begun += 1
        await self.may_finish.wait()
        self.finished += 1
        if self.fails:
            raise ValueError("it failed")
        return "done"


async def begin(work: Work) -> asyncio.Task[str]:
    running = asyncio.create_task(finish_despite_cancellation(work.do))
    while not work.begun:  # noqa: ASYNC110 - the work notifies no one
        await asyncio.sleep(0)
    return running


async def test_it_returns_the_result_where_nothing_cancels_it() -> None:
    work = Work()
    running = await begin(work)
    work.may_finish.set()
    assert await running == "done"


async def test_a_cancellation_repeated_many_times_is_held_back_until_it_is_finished() -> None:
    work = Work()
    running = await begin(work)
    for _ in range(5):
        running.cancel()
        await asyncio.sleep(0)
    assert not running.done()
    work.may_finish.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (work.begun, work.finished) == (1, 1)


async def test_it_starts_again_when_every_task_is_cancelled() -> None:
    work = Work()
    running = await begin(work)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    while work.begun < 2:  # noqa: ASYNC110 - the work notifies no one
        await asyncio.sleep(0)
    work.may_finish.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.finished == 1


async def test_a_cancellation_goes_on_also_if_the_work_fails() -> None:
    work = Work(fails=True)
    running = await begin(work)
    running.cancel()
    work.may_finish.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.finished == 1


async def test_an_error_of_the_work_is_raised() -> None:
    work = Work(fails=True)
    running = await begin(work)
    work.may_finish.set()
    with pytest.raises(ValueError, match="it failed"):
        await running


@pytest.mark.parametrize("settings", [{}, {"lock_while_running": True}], ids=str)
async def test_a_snapshot_is_protected_again_for_good_although_an_earlier_action_runs_longer(
    settings: dict[str, Any],
) -> None:
    with prune_history(**settings) as history:
        image_id, state = history.newest, history.world.sandbox.state
        state.change_protection(
            image_id, ActionRecord(id=0, image_id=image_id, started=0, seconds=20, delete=False)
        )
        seen = await history.protect_again(image_id)
        assert seen.state == "protected"
        history.world.time.advance(3_600)
        assert not history.unprotected


async def test_one_wrong_404_does_not_pass_for_a_deletion() -> None:
    with prune_history() as history:
        history.world.sandbox.faults.add(Fault(kind="error", operation="get_image", status=404, times=1))
        pruned = await history.prune(max_deletions=1)
        assert pruned
        assert outcomes_of(pruned)[history.candidates[0]] == "reprotected"
        assert not history.unprotected
