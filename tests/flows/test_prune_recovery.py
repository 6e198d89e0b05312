"""What a killed prune run has left: protected, or reported; what is out of sight is not taken for deleted."""

from records.pruned_snapshots import load_pruned
from sandbox import Fault
from tests.support.prune_trials import Trial, prune_trial
from tests.support.prune_world import NAME
from tests.support.watched_runs import within


async def pruned(trial: Trial) -> list[int]:
    return [*await within(trial.run, load_pruned(NAME))]


async def test_a_snapshot_that_is_deleted_is_recorded_as_pruned() -> None:
    with prune_trial() as trial:
        await trial.die()
        trial.world.sandbox.delete_image(trial.ids[0])
        recovery = await trial.recover()
        assert recovery.lines[0].endswith("is deleted: recorded as pruned")
        assert await pruned(trial) == [trial.ids[0]]
        assert not (await trial.recover()).lines


async def test_a_snapshot_is_not_taken_for_deleted_when_the_token_is_that_of_another_project() -> None:
    with prune_trial() as trial:
        trial.world.sandbox.set_protection(trial.ids[0], delete=False)
        await trial.die()
        images = dict(trial.world.sandbox.images)
        trial.world.sandbox.images.clear()  # with this token, none of them exists
        for dry_run in (True, False):
            recovery = await trial.recover(dry_run=dry_run)
            assert recovery.error
            assert "the token may be another project's" in recovery.error.message
            assert not await pruned(trial)
        assert len(trial.events) == 2
        trial.world.sandbox.images.update(images)  # the token is the right one again
        assert (await trial.recover()).lines[0].endswith("is protected")
        assert not trial.unprotected


async def test_what_cannot_be_recovered_does_not_stop_what_another_run_has_left() -> None:
    with prune_trial() as trial:
        first, second, _ = trial.ids
        await trial.die()
        trial.world.sandbox.set_protection(first, delete=False)
        await trial.die(at=1)  # the newest record is read first
        trial.world.sandbox.faults.add(Fault(kind="error", status=403, image_ids=frozenset({second})))
        recovery = await trial.recover()
        assert recovery.error
        assert str(second) in recovery.error.message
        assert trial.world.sandbox.images[first]["protection"]["delete"]


async def test_a_dry_run_settles_what_is_protected_and_no_action_changes() -> None:
    with prune_trial() as trial:
        await trial.die()
        assert (await trial.recover(dry_run=True)).lines
        trial.world.sandbox.delete_image(trial.ids[0])  # by another user, days later
        assert not (await trial.recover(dry_run=True)).lines
        assert not await pruned(trial)
