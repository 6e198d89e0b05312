"""Prune runs, other users, the clock and faults in any order: only what may be deleted is, and no survivor
is left unprotected.

Each example is a history of one project: `World` is that project, its sandbox and what Prefect has stored; a
`Tried` is one prune run in it, with what comes in between its requests. What must hold is written down apart
from the code under test, and checked by what the sandbox received and returned:

* `prune_rules`: what must hold right before each request to unprotect or delete a snapshot
* `prune_reference`: which snapshots are candidates, and since when, computed a second time
* `prune_untruths`: that reports have the outcome of each snapshot
* `World`: that no more than one snapshot is unprotected by prune runs at any time
* here: that what a run that was ended leaves is protected by the next one, or by a protection run
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import ExitStack
from itertools import count
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from records.pruned_snapshots import load_pruned
from sandbox import Fault
from snapshot_protection.prune_outcomes import PruneOutcomeName
from tests.support.figures import example_of
from tests.support.prune_happenings import Jump, Other, add_candidates, add_snapshot, make_readable
from tests.support.prune_histories import (
    ANY,
    AT,
    DAYS,
    FAULTS,
    HOURS,
    INTERVENTIONS,
    NOT_PROTECTED_AGAIN,
    OTHERS,
    UNDELETED,
)
from tests.support.prune_interruptions import ENDS, Happens, protect_all
from tests.support.prune_reference import must_be_protected
from tests.support.prune_world import NAME, World
from tests.support.tried_prune_runs import SEEN, Tried, without_prefect_s_pages
from tests.support.watched_runs import WatchedRun, within

pytestmark = pytest.mark.slow

_NTH = st.integers(3, 14) | st.integers(-14, -3)


class PruneModel(RuleBasedStateMachine):
    """One project; each example is a history of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.was_not_found = False
        logging.disable(logging.CRITICAL)  # pytest keeps each line of thousands of runs
        self.stack.callback(logging.disable, logging.NOTSET)
        self.runner = self.stack.enter_context(asyncio.Runner())

    @initialize(seconds=st.sampled_from([0, 0, 2]), lock=st.booleans(), some=st.lists(ANY, max_size=3))
    def begin(self, *, seconds: float, lock: bool, some: list[int]) -> None:
        example_of("prune runs, other users, clocks and faults in any order")
        self.world = World(action_seconds=seconds, lock_while_running=lock)
        self.stack.enter_context(self.world.entered())
        self.stack.enter_context(without_prefect_s_pages(self.world))
        add_candidates(self.world, 3)
        for which in some:
            add_snapshot(self.world, which)

    @rule(other=OTHERS)
    def another_user_changes_something(self, other: Other) -> None:
        self._do(other(self.world))

    @rule(hours=HOURS)
    def the_clock_jumps(self, hours: float) -> None:
        self._do(Jump(hours)(self.world))

    @rule(fault=FAULTS)
    def something_goes_wrong_from_now_on(self, fault: Fault) -> None:
        if fault.status == 404 and self.was_not_found:
            return  # a snapshot that is not found twice in a row is taken for deleted
        self.was_not_found |= fault.status == 404
        self.world.sandbox.faults.add(fault)

    @rule(days=DAYS, at=AT)
    def a_dry_run(self, days: float, at: dict[int, Any]) -> None:
        self._do(Tried(self.world, WatchedRun(days, at=dict(at)), dry_run=True).run())

    @rule(days=DAYS, at=AT, most=st.sampled_from([1, 2, 5]))
    def a_prune_run(self, days: float, at: dict[int, Any], most: int) -> None:
        self._do(Tried(self.world, WatchedRun(days, at=dict(at)), max_deletions=most).run())
        self.world.sandbox.faults.clear()

    @rule(
        days=DAYS,
        at=AT,
        most=st.sampled_from([1, 2, 5]),
        between=st.lists(OTHERS, min_size=1, max_size=2),
    )
    def a_prune_run_with_approval(
        self, days: float, at: dict[int, Any], most: int, between: list[Other]
    ) -> None:
        watched = WatchedRun(days, at=dict(at))
        self._do(Tried(self.world, watched, approval=True, max_deletions=most, between=between).run())
        self.world.sandbox.faults.clear()

    @rule(at=st.dictionaries(st.integers(3, 14), INTERVENTIONS, min_size=2, max_size=5))
    def a_prune_run_meets_another_user(self, at: dict[int, Any]) -> None:
        self._do(Tried(self.world, WatchedRun(at=dict(at)), max_deletions=5).run())

    @rule(deletion=UNDELETED, change=NOT_PROTECTED_AGAIN)
    def a_prune_run_cannot_protect_again(self, deletion: Fault, change: Fault) -> None:
        """A deletion fails, and so does what is to protect the snapshot again."""
        add_candidates(self.world, 2)
        self.world.sandbox.faults.add(deletion, change)
        self._do(Tried(self.world, WatchedRun()).run())
        self.world.sandbox.faults.clear()

    @rule(what=st.sampled_from(["killed", *ENDS]), nth=_NTH)
    def a_prune_run_is_ended(self, what: str, nth: int) -> None:
        self.world.sandbox.faults.clear()
        add_candidates(self.world, 2)
        self._do(end_and_recover(self.world, what, nth))

    @rule()
    def a_protection_run(self) -> None:
        """Protect all; what was started before has finished, and what no one can read is as it should be."""
        world = self.world
        world.sandbox.faults.clear()
        world.time.advance(120)
        make_readable(world)
        self._do(protect_all(world))
        unprotected = [
            image_id
            for image_id, image in world.sandbox.images.items()
            if not image["protection"]["delete"] and must_be_protected(image)
            and not (image_id in world.exempt and world.now() < world.exempt[image_id])
        ]  # fmt: skip
        assert set(unprotected) <= world.stuck, unprotected

    def _do(self, work: Awaitable[Any]) -> None:
        async def do() -> None:
            await work

        self.runner.run(do())
        assert not self.world.wrong, self.world.wrong

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.a_protection_run()
        finally:
            self.stack.close()


async def end_and_recover(world: World, what: str, nth: int) -> WatchedRun:
    """End a prune run at its nth request; the next one finds it gone, and protects what it has left."""
    watched = WatchedRun(at={nth: Happens(what)})
    await Tried(world, watched, max_deletions=5).run()
    left = world.unprotected_by_us & watched.changed.keys()
    assert watched.is_gone or left <= world.stuck, left
    world.jump(0.2)
    await Tried(world, WatchedRun(days=3), dry_run=True).run()  # it reports that, and changes nothing
    await Tried(world, WatchedRun(days=3)).run()
    assert world.unprotected_by_us <= world.stuck
    recorded = await within(WatchedRun(), load_pruned(NAME))
    assert watched.deleted <= recorded.keys()
    return watched


@pytest.mark.parametrize("seconds", [0, pytest.param(2, marks=pytest.mark.reliability)])
@pytest.mark.parametrize("what", ENDS)
def test_a_prune_run_that_is_ended_at_any_request_leaves_nothing_unprotected(
    what: str, seconds: float
) -> None:
    for sign in (1, -1):
        for nth in count(1):
            world = World(action_seconds=seconds, lock_while_running=True)
            with world.entered(), without_prefect_s_pages(world):
                add_candidates(world, 3)
                ended = asyncio.run(end_and_recover(world, what, sign * nth))
                asyncio.run(protect_all(world))
            assert not world.wrong, world.wrong
            assert all(image["protection"]["delete"] for image in world.sandbox.images.values())
            if ended.at:  # it has sent fewer requests
                break
        assert nth > 3 + 2 * 7  # of the plan, and of each snapshot


@pytest.mark.parametrize("what", ["describe", "relabel", "add server", "exempt", "protect", "delete"])
def test_a_snapshot_that_another_user_changes_at_any_request_is_deleted_only_if_that_was_not_to_be_seen(
    what: str,
) -> None:
    for sign in (1, -1):
        for nth in count(1):
            world = World()
            watched = WatchedRun(at={sign * nth: Other(what)})  # the oldest: it is pruned first
            with world.entered(), without_prefect_s_pages(world):
                add_candidates(world, 3)
                asyncio.run(Tried(world, watched).run())
            assert not world.wrong, world.wrong
            if watched.at:  # it has sent fewer requests
                break


def settings_for(examples: int) -> settings:
    """Try so many histories; whether they are new ones each time is up to hypothesis's profile."""
    return settings(
        max_examples=examples,
        stateful_step_count=14,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_only_what_may_be_pruned_is_and_every_survivor_is_protected() -> None:
    SEEN.clear()
    run_state_machine_as_test(PruneModel, settings=settings(settings_for(15), derandomize=True))
    assert SEEN.keys() >= {"pruned", "reprotected", "kept"}, SEEN  # or it would hold nothing


@pytest.mark.reliability
def test_only_what_may_be_pruned_is_in_many_histories() -> None:
    SEEN.clear()
    run_state_machine_as_test(PruneModel, settings=settings_for(1_000))
    assert SEEN.keys() >= {*get_args(PruneOutcomeName), "killed", "cancelled", "protected"}, SEEN
