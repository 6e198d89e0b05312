"""A snapshot is judged by what holds right before it is deleted, also after a long wait."""

from tests.support.prune_trials import outcomes_of, prune_trial
from tests.support.prune_world import World
from tests.support.watched_runs import WatchedRun

POLL = 4  # the fourth request of applying a plan: after both lists and the removal of the protection
LOOK = 4  # where the action is finished at once


async def test_a_snapshot_is_kept_from_which_a_server_is_created_during_a_long_wait() -> None:
    with prune_trial(action_seconds=45) as trial:
        first, second, newest = trial.ids

        async def create_a_server(world: World, _run: WatchedRun) -> None:
            world.sandbox.add_server(image=first)

        report = await trial.apply(at={POLL: create_a_server})
        assert outcomes_of(report) == {first: "reprotected", second: "pruned", newest: "kept"}
        [message] = [one.message for one in report.outcomes if one.image_id == first]
        assert message == "No longer to be deleted: a server was created from it"
        assert not trial.unprotected


async def test_a_snapshot_is_kept_whose_newer_ones_are_deleted_during_a_long_wait() -> None:
    with prune_trial(action_seconds=45) as trial:
        first, second, newest = trial.ids

        async def delete_the_others(world: World, _run: WatchedRun) -> None:
            world.sandbox.delete_image(second)
            world.sandbox.delete_image(newest)

        report = await trial.apply(at={POLL: delete_the_others})
        assert outcomes_of(report) == {first: "reprotected", second: "deleted", newest: "kept"}
        assert not trial.unprotected


async def test_a_snapshot_is_judged_once_when_its_protection_is_removed_soon() -> None:
    with prune_trial(snapshots=2) as trial:
        await trial.observe()
        listings = len(trial.world.sandbox.calls("list_images"))
        await trial.apply()
        assert len(trial.world.sandbox.calls("list_images")) == 3 * listings  # planned again, judged once


async def test_a_snapshot_is_protected_again_when_the_look_at_it_took_long() -> None:
    with prune_trial() as trial:

        async def wait(world: World, _run: WatchedRun) -> None:
            world.time.advance(61)

        first, second, newest = trial.ids
        report = await trial.apply(at={LOOK: wait})
        assert outcomes_of(report) == {first: "reprotected", second: "pruned", newest: "kept"}
        assert not trial.unprotected
