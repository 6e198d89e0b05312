"""One snapshot is pruned: whatever happens meanwhile, no survivor is left unprotected."""

import asyncio
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.states import Cancelling

from blocks.snapshot_policy import SnapshotPolicy
from flows._prune_recovery import Recovery
from flows.protect_snapshots import protect_snapshots
from flows.prune_snapshots import prune_snapshots
from records.prune_locks import lock_name
from sandbox import Fault, ManualClock
from snapshot_protection.policy import Rule
from tests.support.deployed_runs import execute
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import run
from tests.support.prune_runs import (
    KEEP_ONE,
    PruneProject,
    make_prune_project,
    prune_outcomes_of,
)
from tests.support.prune_trials import ALL_BUT_THE_NEWEST, outcomes_of, prune_trial
from tests.support.prune_world import WatchedRun, World


@pytest.fixture
async def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> PruneProject:
    return await make_prune_project(make_sandbox, save_project)


async def test_a_snapshot_whose_newer_sibling_is_gone_is_kept(
    project: PruneProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    await project.age()
    first, second = project.candidates

    async def delete_the_newest(*_args: object, **_kwargs: object) -> None:
        project.sandbox.images.pop(project.newest, None)

    monkeypatch.setattr("flows._prune_project.recover_project", _after(delete_the_newest))
    done = await project.prune()
    assert project.deletions == [first]
    assert prune_outcomes_of(done)[second] == "kept"
    assert not project.unprotected


@pytest.mark.parametrize("edit", ["edited", "deleted", "made unusable"])
async def test_nothing_more_is_deleted_when_the_policy_changed_while_the_plan_is_applied(
    project: PruneProject, monkeypatch: pytest.MonkeyPatch, edit: str
) -> None:
    await project.age()

    async def change_the_policy(*_args: object) -> None:
        await _change(project.policy, edit)

    monkeypatch.setattr("flows._prune_project.recover_project", _after(change_the_policy))
    done = await project.prune()
    outcomes = {prune_outcomes_of(done)[image_id] for image_id in project.candidates}
    assert not project.writes
    assert outcomes == ({"kept"} if edit == "edited" else {"queued"})
    assert done.state.is_completed() == (edit == "edited")


async def _change(policy: str, edit: str) -> None:
    if edit == "edited":
        keep = KEEP_ONE.model_copy(update={"last": 2})
        await SnapshotPolicy(rules=[Rule(name="nightly", prune=True, keep=keep)]).asave(
            policy, overwrite=True
        )
        return
    async with get_client() as client:
        found = await client.read_block_document_by_name(policy, SnapshotPolicy.get_block_type_slug())
        if edit == "deleted":
            await client.delete_block_document(found.id)
        else:
            data = {"rules": [{"name": "nightly", "prune": "perhaps"}]}
            await client.update_block_document(found.id, BlockDocumentUpdate(data=data))


def _after(work: Any) -> Any:
    async def recover(*args: object) -> Recovery:
        await work(*args)
        return Recovery()

    return recover


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(kind="delete_without_effect", times=1), "reprotected"),
        (Fault(kind="protected_again", times=1), "reprotected"),
        (Fault(kind="action_without_effect", times=1), "reprotected"),
        (Fault(kind="action_error", times=1), "reprotected"),
        (Fault(kind="drop_after", operation="delete_image", times=1), "pruned"),
        (Fault(kind="drop", operation="delete_image", times=1), "reprotected"),
        (Fault(kind="error", operation="delete_image", status=403, code="forbidden", times=1), "reprotected"),
        (Fault(kind="error", operation="get_image", status=500, times=20), "reprotected"),
    ],
    ids=str,
)
async def test_whatever_goes_wrong_no_survivor_is_left_unprotected(
    project: PruneProject, fault: Fault, outcome: str
) -> None:
    await project.age()
    project.sandbox.faults.add(fault)
    done = await project.prune(max_deletions=1, timeout_seconds=5)
    assert prune_outcomes_of(done)[project.candidates[0]] == outcome, done.state.message
    assert done.state.is_completed() == (outcome == "pruned")
    assert not project.unprotected


async def test_a_read_only_token_stops_the_project_at_its_first_refusal(
    project: PruneProject,
) -> None:
    await project.age()
    project.sandbox.faults.add(
        Fault(kind="error", operation="change_image_protection", status=403, code="token_readonly")
    )
    done = await project.prune()
    first, second = project.candidates
    assert done.state.is_failed()
    assert prune_outcomes_of(done) == {first: "failed", second: "queued", project.newest: "kept"}
    assert len(project.writes) == 1
    assert not project.unprotected


async def test_a_snapshot_that_cannot_be_protected_again_is_reported_as_left_unprotected(
    project: PruneProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    await project.age()
    emitted: list[object] = []
    monkeypatch.setattr("flows._prune_snapshot.emit_left_unprotected", lambda *args: emitted.append(args))
    project.sandbox.faults.add(Fault(kind="error", operation="delete_image", status=403, code="forbidden"))
    project.sandbox.faults.add(
        Fault(kind="error", operation="change_image_protection", status=401, code="unauthorized", after=1)
    )
    done = await project.prune()
    first, second = project.candidates
    assert done.state.is_failed()
    assert prune_outcomes_of(done)[first] == "left_unprotected"
    assert prune_outcomes_of(done)[second] == "queued"
    assert len(emitted) == 1
    project.sandbox.faults.clear()
    again = await project.prune()
    assert not project.unprotected
    assert again.state.is_completed(), again.state.message


async def test_a_run_that_prefect_no_longer_calls_running_changes_nothing(
    project: PruneProject,
) -> None:
    await project.age()
    run_id = await project.start(approval=False)
    seen = len(project.sandbox.calls("list_servers"))
    running = asyncio.create_task(execute(prune_snapshots, run_id))
    while len(project.sandbox.calls("list_servers")) == seen:  # noqa: ASYNC110 - the sandbox tells nobody
        await asyncio.sleep(0.001)
    async with get_client() as client:
        await client.set_flow_run_state(run_id, Cancelling(), force=True)
    await running
    assert not project.writes


async def test_a_cancelled_run_protects_again_before_it_ends(
    make_sandbox: MakeSandbox, save_project: SaveProject
) -> None:
    project = await make_prune_project(make_sandbox, save_project, action_seconds=0.5)
    await project.age()
    running = asyncio.create_task(project.prune())
    while not project.sandbox.calls("change_image_protection"):  # noqa: ASYNC110 - the sandbox tells nobody
        await asyncio.sleep(0.001)
    running.cancel()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert project.left == [*project.candidates, project.newest]
    assert not project.unprotected
    assert not project.deletions


async def test_a_run_that_loses_its_lock_after_it_removed_protection_protects_again(
    make_sandbox: MakeSandbox, save_project: SaveProject
) -> None:
    clock = ManualClock()
    project = await make_prune_project(make_sandbox, save_project, action_seconds=1, clock=clock)
    await project.age()
    running = asyncio.create_task(project.prune())
    while not project.sandbox.calls("change_image_protection"):  # noqa: ASYNC110 - the sandbox tells nobody
        await asyncio.sleep(0.001)
    async with get_client() as client:
        await client.delete_variable_by_name(lock_name(project.name))
    while not running.done():
        clock.advance(1)
        await asyncio.sleep(0.01)
    done = await running
    first, second = project.candidates
    assert prune_outcomes_of(done) == {first: "reprotected", second: "queued", project.newest: "kept"}
    assert not project.deletions
    assert not project.unprotected


async def test_a_protection_run_protects_what_a_killed_prune_left(project: PruneProject) -> None:
    project.sandbox.set_protection(project.candidates[0], delete=False)
    done = await run(protect_snapshots, projects=[project.name], policy=project.policy)
    assert done.state.is_completed()
    assert not project.unprotected


async def test_a_snapshot_of_a_rule_that_does_not_protect_is_deleted_without_removing_protection(
    project: PruneProject,
) -> None:
    await project.save_policy(Rule(name="nightly", prune=True, protect=False, keep=KEEP_ONE))
    await project.age()
    for image_id in project.candidates:
        project.sandbox.set_protection(image_id, delete=False)
    done = await project.prune()
    assert done.state.is_completed()
    assert not project.sandbox.calls("change_image_protection")
    assert project.deletions == project.candidates


@pytest.mark.parametrize(("status", "code"), [(403, "token_readonly"), (401, "unauthorized")])
async def test_what_was_never_protected_is_not_reported_as_unprotected_by_the_run_when_the_token_is_rejected(
    status: int, code: str
) -> None:
    rule = ALL_BUT_THE_NEWEST.model_copy(update={"protect": False})
    with prune_trial(rule, protected=False) as trial:
        trial.world.sandbox.faults.add(
            Fault(kind="error", operation="delete_image", status=status, code=code)
        )
        report = await trial.apply()
        first, second, newest = trial.ids
        assert outcomes_of(report) == {first: "left_unprotected", second: "queued", newest: "kept"}
        assert "it was not protected before, and could not be protected" in report.outcomes[0].message
        assert not trial.events
        assert not (await trial.recover()).lines


@pytest.mark.parametrize("fault", ["drop", "delete_late"])
async def test_what_may_be_deleted_later_stays_on_record_when_it_cannot_be_protected(fault: Any) -> None:
    rule = ALL_BUT_THE_NEWEST.model_copy(update={"protect": False})
    with prune_trial(rule, protected=False) as trial:
        for kind, operation in ((fault, "delete_image"), ("drop", "change_image_protection")):
            trial.world.sandbox.faults.add(Fault(kind=kind, operation=operation))
        await trial.apply()
        assert [ids for _, ids, _ in trial.events] == [[trial.ids[0]]]


async def test_nothing_is_on_record_as_in_progress_when_the_run_may_not_begin_with_it() -> None:
    with prune_trial() as trial:

        async def cancel(world: World, run: WatchedRun) -> None:
            world.memory.states[run.id] = Cancelling()

        await trial.apply(at={1: cancel})
        assert not trial.run.writes
        trial.world.sandbox.delete_image(trial.ids[0])  # by another user
        assert not (await trial.recover()).lines


@pytest.mark.parametrize("times", [1, None])
async def test_a_removal_whose_response_was_unreadable_does_not_take_effect_after_the_run(
    times: int | None,
) -> None:
    """As long as it runs, the snapshot is still protected, and cannot be protected again."""
    with prune_trial(snapshots=2, action_seconds=20, lock_while_running=True) as trial:
        fault = Fault(kind="wrong_shape", operation="change_image_protection", times=times)
        trial.world.sandbox.faults.add(fault)
        report = await trial.apply()
        trial.world.time.advance(60)
        first = trial.ids[0]
        reported = [ids for _, ids, _ in trial.events]
        assert not trial.unprotected or reported == [[first]], outcomes_of(report)
        trial.world.sandbox.faults.clear()
        await trial.recover()
        assert not trial.unprotected
