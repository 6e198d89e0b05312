"""Pruning on the engine, against sandboxes over real HTTP: what is planned, approved and reported."""

from typing import Any

import pytest

from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.prune_snapshots import _validate_approval, prune_snapshots, validate_parameters
from hetzner_cloud.errors import InvalidArgumentError
from records.pruned_snapshots import load_pruned
from sandbox import Fault
from snapshot_protection.prune_plan import PruneLimits
from snapshot_protection.prune_report import format_message
from tests.support.deployed_runs import execute, resume
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, run
from tests.support.prune_runs import (
    PruneProject,
    make_prune_project,
    outcome_for,
    prune_outcomes_of,
)
from tests.support.stored_exemptions import store_exemptions
from tests.support.unprotect_runs import ANSWER, state_of
from tests.support.watched_prune_runs import outcomes_of, prune_history
from tests.support.watched_runs import WatchedRun


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


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((-1, 10, 900), "The quarantine must be 0 days or more"),
        ((7, 0, 900), "The number of deletions must be 1 or more"),
        ((7, 10, 0), "must be more than 0 seconds"),
    ],
)
def test_limits_that_make_no_sense_are_rejected(values: tuple[float, int, float], text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        validate_parameters(*values)


@pytest.mark.parametrize("days", [0, 1e-6])
def test_a_deployment_without_approval_needs_a_quarantine(days: float) -> None:
    with pytest.raises(InvalidArgumentError, match="less than 1 day of quarantine needs approval"):
        _validate_approval(PruneLimits(days, 1), required=False, deployed=True)
    _validate_approval(PruneLimits(1, 1), required=False, deployed=True)


async def test_a_run_says_how_much_money_would_be_freed_or_why_that_is_not_known() -> None:
    with prune_history() as history:
        await history.prune(dry_run=True)
        assert history.report
        message = format_message(history.report)
        assert "4.6 GB would be freed, 0.05 EUR (net) a month" in message
        history.world.sandbox.faults.add(Fault(kind="error", operation="list_prices"))
        report = await history.prune(dry_run=True)
        assert report
        assert report.error is None
        message = format_message(history.report)
        assert "4.6 GB would be freed" in message
        assert "EUR" not in message
        assert "prices could not be read" in report.note


async def test_nothing_is_changed_inside_the_quarantine() -> None:
    with prune_history() as history:
        for _ in range(7):
            watched = WatchedRun(days=7)
            report = await history.prune(watched)
            assert report
            assert {outcomes_of(report)[image_id] for image_id in history.candidates} == {"quarantined"}
            assert not watched.writes
            history.world.jump(24)
        history.world.jump(0.1)
        watched = WatchedRun(days=7)
        assert await history.prune(watched)
        assert watched.deleted == {*history.candidates}


async def test_the_oldest_are_deleted_first_and_the_rest_is_queued() -> None:
    with prune_history() as history:
        first, second = history.candidates
        report = await history.prune(max_deletions=1)
        assert report
        assert outcomes_of(report) == {first: "pruned", second: "queued", history.newest: "kept"}


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"max_deletions": 0}, "The number of deletions must be 1 or more"),
        ({"policy": "no-such-policy"}, "No snapshot policy is named 'no-such-policy'"),
        (
            {"quarantine_days": 0, "approval": False},
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


async def test_an_approved_plan_is_applied(project: PruneProject) -> None:
    await project.age()
    run_id = await project.start()
    assert state_of(await execute(prune_snapshots, run_id))[0] == "Suspended"
    assert not project.writes
    await resume(run_id, **ANSWER)
    name, message = state_of(await execute(prune_snapshots, run_id))
    assert (name, project.left) == ("Completed", [project.newest]), message
