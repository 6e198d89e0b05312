"""Pruning on the engine, against sandboxes over real HTTP: what is planned, approved and reported."""

from typing import Any

import pytest

from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.prune_snapshots import prune_snapshots
from records.pruned_snapshots import load_pruned
from sandbox import Fault
from snapshot_protection.policy import Rule
from tests.support.deployed_runs import execute, resume
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, run
from tests.support.prune_runs import (
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
            "A run of a deployment with less than 1 day of quarantine needs approval",
        ),
        (
            {"quarantine_days": 1e-6, "approval": False},
            "A run of a deployment with less than 1 day of quarantine needs approval",
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


async def test_what_is_exempt_under_another_name_of_the_project_is_kept_by_a_run_of_this_name(
    project: PruneProject, save_project: SaveProject
) -> None:
    await project.age()
    first, second = project.candidates
    other = f"{project.name}-x"
    save_project(other, project.sandbox)
    await store_exemptions(other, first)
    done = await project.prune()
    assert prune_outcomes_of(done)[first] == "kept", done.state.message
    assert project.deletions == [second]


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
    await store_exemptions(project.name, second, hours=200)  # by a clock that was ahead
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
