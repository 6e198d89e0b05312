"""Pruning on the engine, against sandboxes over real HTTP."""

import asyncio
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelling

from flows._prune_project import Recovery
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from flows.prune_snapshots import prune_snapshots
from records.prune_locks import Holder, acquire_lock, lock_name
from records.pruned_snapshots import load_pruned
from sandbox import Fault, ManualClock
from snapshot_protection.policy import Rule
from tests.support.deployed_runs import execute, resume
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, run
from tests.support.prune_runs import (
    KEEP_ONE,
    PruneProject,
    make_prune_project,
    outcome_for,
    prune_outcomes_of,
    prune_report_of,
)
from tests.support.stored_exemptions import store_exemptions
from tests.support.unprotect_runs import ANSWER, state_of


@pytest.fixture
async def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> PruneProject:
    return await make_prune_project(make_sandbox, save_project)


async def test_a_dry_run_reports_each_candidate_with_its_due_date_and_changes_nothing(
    project: PruneProject,
) -> None:
    first, second = project.candidates
    done = await project.look()
    assert done.state.is_completed()
    assert prune_outcomes_of(done) == {first: "quarantined", second: "quarantined", project.newest: "kept"}
    due = outcome_for(done, first).due
    assert due is not None
    assert not project.writes
    artifacts = {one.key for one in await artifacts_of(done.record.id)}
    assert artifacts == {"snapshot-prune-summary", f"prune-plan-snapshots-{project.name}"}
    again = await project.look()
    assert outcome_for(again, first).due == due


async def test_a_dry_run_says_how_much_money_would_be_freed(project: PruneProject) -> None:
    done = await project.look(quarantine_days=0)
    assert "4.6 GB would be freed, 0.05 EUR (net) a month" in (done.state.message or "")
    project.sandbox.faults.add(Fault(kind="error", operation="list_prices"))
    done = await project.look(quarantine_days=0)
    assert done.state.is_completed()
    assert "4.6 GB would be freed" in (done.state.message or "")
    assert "EUR" not in (done.state.message or "")
    assert "prices could not be read" in prune_report_of(done).projects[0].note


async def test_nothing_is_changed_inside_the_quarantine(project: PruneProject) -> None:
    await project.age(days=6)
    done = await project.prune()
    assert done.state.is_completed()
    assert prune_outcomes_of(done)[project.candidates[0]] == "quarantined"
    assert not project.writes


async def test_what_is_due_is_deleted_one_at_a_time_and_recorded(project: PruneProject) -> None:
    await project.age()
    done = await project.prune()
    assert done.state.is_completed(), done.state.message
    first, second = project.candidates
    assert prune_outcomes_of(done) == {first: "pruned", second: "pruned", project.newest: "kept"}
    assert project.deletions == [first, second]
    assert project.left == [project.newest]
    assert not project.unprotected
    recorded = await load_pruned(project.name)
    assert {one.flow_run_id for one in recorded.values()} == {done.record.id}
    assert set(recorded) == {first, second}
    assert "4.6 GB freed" in (done.state.message or "")


async def test_an_audit_reports_what_was_pruned_and_not_as_missing(project: PruneProject) -> None:
    await run(audit_snapshot_protection, projects=[project.name])
    await project.age()
    await project.prune(max_deletions=1)
    first, second = project.candidates
    project.sandbox.delete_image(second)
    done = await run(audit_snapshot_protection, projects=[project.name])
    [audit] = done.result.projects
    found = {one.image_id: one for one in audit.findings}
    assert found[first].finding == "pruned"
    assert "by rule 'nightly', flow run " in found[first].reason
    assert found[second].finding == "missing_protected"
    assert [one.image_id for one in audit.missing_protected] == [second]
    again = await run(audit_snapshot_protection, projects=[project.name])
    assert {one.image_id: one.finding for one in again.result.projects[0].findings}[first] == "pruned"


async def test_the_oldest_are_deleted_first_and_the_rest_is_queued(project: PruneProject) -> None:
    await project.age()
    done = await project.prune(max_deletions=1)
    first, second = project.candidates
    assert prune_outcomes_of(done) == {first: "pruned", second: "queued", project.newest: "kept"}
    assert not project.unprotected


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"quarantine_days": -1}, "The quarantine must be 0 days or more"),
        ({"max_deletions": 0}, "The number of deletions must be 1 or more"),
        ({"timeout_seconds": 0}, "must be more than 0 seconds"),
        ({"policy": "no-such-policy"}, "No snapshot policy is named 'no-such-policy'"),
        (
            {"quarantine_days": 0, "approval": False},
            "A run of a deployment without quarantine needs approval",
        ),
    ],
)
async def test_bad_input_is_rejected_before_any_request(
    project: PruneProject, parameters: dict[str, Any], text: str
) -> None:
    run_id = await project.start(**parameters)
    name, message = state_of(await execute(prune_snapshots, run_id))
    assert name == "Failed"
    assert text in message
    assert not project.sandbox.requests


async def test_from_a_shell_approval_cannot_be_waited_for(project: PruneProject) -> None:
    done = await run(prune_snapshots, projects=[project.name], policy=project.policy, dry_run=False)
    assert done.state.is_failed()
    assert "Only a run of a deployment can wait for approval" in (done.state.message or "")
    assert not project.sandbox.requests


async def test_a_policy_in_which_no_rule_prunes_says_so(project: PruneProject) -> None:
    await project.save_policy(Rule(name="nightly"))
    done = await project.prune()
    assert done.state.is_completed()
    assert "every snapshot is kept, and there is nothing to prune" in (done.state.message or "")
    assert not project.writes


async def test_an_approved_plan_is_applied(project: PruneProject) -> None:
    await project.age()
    run_id = await project.start()
    assert state_of(await execute(prune_snapshots, run_id))[0] == "Suspended"
    assert not project.writes
    await resume(run_id, **ANSWER)
    name, message = state_of(await execute(prune_snapshots, run_id))
    assert (name, project.left) == ("Completed", [project.newest]), message


async def test_a_rejected_plan_changes_nothing(project: PruneProject) -> None:
    await project.age()
    run_id = await project.start()
    await execute(prune_snapshots, run_id)
    await resume(run_id, decision="reject", approved_by="on call")
    name, message = state_of(await execute(prune_snapshots, run_id))
    assert (name, message) == ("Rejected", "Rejected by on call (as stated); nothing was changed.")
    assert not project.writes


async def test_what_is_kept_since_the_approval_is_not_deleted_and_the_rest_is(project: PruneProject) -> None:
    await project.age()
    first, second = project.candidates
    run_id = await project.start()
    await execute(prune_snapshots, run_id)
    await store_exemptions(project.name, second)
    await resume(run_id, **ANSWER)
    assert state_of(await execute(prune_snapshots, run_id))[0] == "Completed"
    assert project.deletions == [first]


async def test_a_plan_that_gained_a_snapshot_is_to_be_approved_again(project: PruneProject) -> None:
    await project.age()
    first, second = project.candidates
    run_id = await project.start(max_deletions=1)
    await execute(prune_snapshots, run_id)
    project.sandbox.delete_image(first)
    await resume(run_id, **ANSWER)
    assert state_of(await execute(prune_snapshots, run_id))[0] == "Suspended"
    assert not project.writes
    await resume(run_id, **ANSWER)
    assert state_of(await execute(prune_snapshots, run_id))[0] == "Completed"
    assert project.deletions == [second]


async def test_a_snapshot_whose_newer_sibling_is_gone_is_kept(
    project: PruneProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    await project.age()
    first, second = project.candidates

    async def delete_the_newest(*_args: object, **_kwargs: object) -> None:
        project.sandbox.images.pop(project.newest, None)

    monkeypatch.setattr("flows._prune_project._recover", _after(delete_the_newest))
    done = await project.prune()
    assert project.deletions == [first]
    assert prune_outcomes_of(done)[second] == "kept"
    assert not project.unprotected


def _after(work: Any) -> Any:
    async def recover(*args: object) -> Recovery:
        await work(*args)
        return Recovery()

    return recover


@pytest.mark.parametrize("operation", ["list_images", "list_servers"])
async def test_a_project_whose_lists_cannot_be_read_is_kept_whole(
    project: PruneProject, operation: str
) -> None:
    await project.age()
    project.sandbox.faults.add(Fault(kind="wrong_shape", operation=operation))
    done = await project.prune()
    assert done.state.is_failed()
    assert not project.writes


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


async def test_two_names_of_one_project_are_pruned_through_the_first(
    project: PruneProject, save_project: SaveProject
) -> None:
    await project.age()
    other = f"{project.name}-x"
    save_project(other, project.sandbox)
    done = await run(
        prune_snapshots,
        projects=[project.name, other],
        policy=project.policy,
        dry_run=False,
        approval=False,
    )
    assert done.state.is_completed(), done.state.message
    assert project.deletions == project.candidates
    [_, kept] = prune_report_of(done).projects
    assert kept.same_as == project.name
    assert {one.outcome for one in kept.outcomes} == {"kept"}


async def test_of_two_runs_at_once_one_prunes_and_the_other_names_it(project: PruneProject) -> None:
    await project.age()
    first, second = await asyncio.gather(project.prune(), project.prune())
    assert sorted(one.state.is_completed() for one in (first, second)) in ([False, True], [True, True])
    assert project.deletions == project.candidates
    for done, other in ((first, second), (second, first)):
        if done.state.is_failed():
            assert f"({other.record.id}) prunes project '{project.name}'" in (done.state.message or "")
            assert "pruned" not in prune_outcomes_of(done).values()


async def test_a_run_that_finds_the_lock_held_changes_nothing(project: PruneProject) -> None:
    await project.age()
    other = await project.look()
    lock = await acquire_lock(
        project.name, Holder(flow_run_id=other.record.id, flow_run_name=other.record.name)
    )
    done = await project.prune()
    assert done.state.is_failed()
    assert f"({other.record.id}) prunes project" in (done.state.message or "")
    assert not project.writes
    await lock.release()
    assert (await project.prune()).state.is_completed()


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
