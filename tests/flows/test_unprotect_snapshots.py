"""Removing protection on the engine, against sandboxes over real HTTP."""

from datetime import UTC, datetime, timedelta, tzinfo
from inspect import signature
from typing import Any, Self

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.exceptions import ObjectNotFound

from flows._changes import wait_for_changes
from flows._unprotect_project import UnprotectRequest
from flows.protect_snapshots import protect_snapshots
from flows.unprotect_snapshots import unprotect_snapshots
from hetzner_cloud.errors import InvalidArgumentError
from sandbox import Fault
from snapshot_protection.outcomes import WaitResult
from snapshot_protection.unprotect_report import UnprotectReport
from tests.support.aged_records import vacuum_run
from tests.support.deployed_runs import ensure_deployment, execute, resume
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, run
from tests.support.stored_exemptions import load_exemptions
from tests.support.unprotect_runs import (
    ANSWER,
    REASON,
    Project,
    make_project,
    scheduled_protection,
    state_of,
)


@pytest.fixture
def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> Project:
    return make_project(make_sandbox, save_project)


async def test_approved_protection_is_removed_and_on_record(project: Project) -> None:
    first, second, *_ = project.protected
    run_id = await project.start([first, second], hours=2)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Suspended"
    assert not project.removals
    await resume(run_id, **ANSWER)
    before = datetime.now(UTC)
    name, message = state_of(await execute(unprotect_snapshots, run_id))
    assert name == "Completed"
    assert message.startswith(f"2 snapshots of {project.name}: 2 unprotected; exempt until ")
    assert project.unprotected == [first, second]
    exemptions = await load_exemptions(project.name)
    assert set(exemptions) == {first, second}
    assert (exemptions[first].reason, exemptions[first].approved_by) == (REASON, ANSWER["approved_by"])
    assert exemptions[first].flow_run_id == run_id
    assert before < exemptions[first].until - timedelta(hours=2) < datetime.now(UTC)
    assert {artifact.key for artifact in await artifacts_of(run_id)} >= {
        f"unprotect-plan-{project.name}",
        f"unprotect-summary-{project.name}",
        f"unprotect-outcomes-{project.name}",
    }
    await vacuum_run(run_id)
    assert await load_exemptions(project.name) == exemptions  # they outlive their run


async def test_nothing_is_requested_when_all_are_deleted(project: Project) -> None:
    [first, *_] = project.protected
    project.sandbox.delete_image(first)
    run_id = await project.start([first])
    assert state_of(await execute(unprotect_snapshots, run_id)) == (
        "Completed",
        f"1 snapshot of {project.name}: 1 deleted",
    )
    assert not project.removals


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"image_ids": []}, "Name at least one snapshot by its id"),
        ({"image_ids": [0]}, "A snapshot's id must be an integer from 1"),
        ({"reason": "because"}, "The reason must have 10 characters or more"),
        ({"hours": 0}, "more than 0 and at most 168 hours"),
        ({"hours": 169}, "more than 0 and at most 168 hours"),
        ({"timeout_seconds": 0}, "must be more than 0 seconds"),
    ],
)
def test_a_request_is_made_of_usable_parameters_only(parameters: dict[str, Any], text: str) -> None:
    usable: dict[str, Any] = {
        "project": "prod",
        "image_ids": [1],
        "reason": REASON,
        "hours": 24,
        "timeout_seconds": 900,
    }
    assert UnprotectRequest.validate(**usable).image_ids == [1]
    with pytest.raises(InvalidArgumentError, match=text):
        UnprotectRequest.validate(**usable | parameters)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"image_ids": []}, "Name at least one snapshot by its id"),
        ({"project": "no-such-project"}, "no-such-project"),
        ({"approval": False}, "A run of a deployment needs approval"),
    ],
)
async def test_bad_input_is_rejected_before_any_request(
    project: Project, parameters: dict[str, Any], text: str
) -> None:
    run_id = await project.start(**{"image_ids": project.protected[:1], **parameters})
    name, message = state_of(await execute(unprotect_snapshots, run_id))
    assert name == "Failed"
    assert text in message
    assert not project.sandbox.requests


async def test_what_has_no_protection_to_remove_is_rejected_by_id(project: Project) -> None:
    [backup] = [one for one, image in project.sandbox.images.items() if image["type"] == "backup"]
    creating, other, *_ = project.protected
    project.sandbox.images[creating]["status"] = "creating"
    run_id = await project.start([backup, creating, other])
    name, message = state_of(await execute(unprotect_snapshots, run_id))
    assert name == "Failed"
    assert f"image {backup} is not a snapshot, but of the type backup" in message
    assert f"image {creating} is still being created" in message
    assert not project.removals


async def test_from_a_shell_no_approval_is_needed_if_it_is_declined(project: Project) -> None:
    [first, *_] = project.protected
    done = await run(
        unprotect_snapshots, project=project.name, image_ids=[first], reason=REASON, approval=False
    )
    assert done.state.is_completed()
    assert "then protected again by the next protection run" in (done.state.message or "")
    assert project.unprotected == [first]
    assert (await load_exemptions(project.name))[first].approved_by == ""


async def test_a_run_that_cannot_record_exemptions_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_record: object) -> None:
        raise RuntimeError("the server went away")

    monkeypatch.setattr("flows._write_ahead.save_exemptions", fail)
    done = await run(
        unprotect_snapshots,
        project=project.name,
        image_ids=project.protected[:1],
        reason=REASON,
        approval=False,
    )
    assert done.state.is_failed()
    assert (done.state.message or "").startswith(
        "The exemptions could not be recorded, so nothing was changed"
    )
    assert not project.removals


async def test_a_proxy_s_404_is_not_taken_for_the_absence_of_a_deployment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def respond(*_arguments: object, **_named: object) -> None:
        request = httpx.Request("GET", "http://127.0.0.1/api/")
        response = httpx.Response(404, request=request, text="<html>")
        raise ObjectNotFound(httpx.HTTPStatusError("no", request=request, response=response))

    monkeypatch.setattr("flows._write_ahead.arun_deployment", respond)
    parameters = {"image_ids": project.protected[:1], "reason": REASON, "approval": False}
    done = await run(unprotect_snapshots, project=project.name, **parameters)
    assert "so nothing was changed: the Prefect API returned 404" in str(done.state.message)
    assert not project.removals


async def test_an_event_that_cannot_be_emitted_is_reported_and_changes_nothing_of_what_was_done(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def emit(report: UnprotectReport) -> None:
        raise OSError(f"no way to emit {report.plan.project}")

    monkeypatch.setattr("flows.unprotect_snapshots.emit_protection_removed", emit)
    [first, *_] = project.protected
    done = await run(
        unprotect_snapshots, project=project.name, image_ids=[first], reason=REASON, approval=False
    )
    assert done.state.is_completed()
    assert f"could not be emitted: OSError: no way to emit {project.name}" in str(done.state.message)
    assert project.unprotected == [first]


async def test_what_fails_is_reported_by_id_and_what_worked_is_done(project: Project) -> None:
    first, second, third, _ = project.protected
    faults = {"failing": first, "without effect": second}
    project.sandbox.faults.add(Fault(kind="action_error", image_ids=frozenset({faults["failing"]})))
    project.sandbox.faults.add(Fault(kind="action_without_effect", image_ids=frozenset({second})))
    done = await run(
        unprotect_snapshots,
        project=project.name,
        image_ids=[first, second, third],
        reason=REASON,
        approval=False,
    )
    assert done.state.is_failed()
    outcomes = {one.snapshot.image_id: one for one in done.result.report.outcomes}
    assert {one: outcome.outcome for one, outcome in outcomes.items()} == {
        first: "failed",
        second: "failed",
        third: "unprotected",
    }
    assert outcomes[first].action_id
    assert "its action failed" in outcomes[first].error.message
    assert outcomes[second].error.message == "its action succeeded, but it is protected"
    assert project.unprotected == [third]
    assert set(await load_exemptions(project.name)) == {third}  # nothing excuses who removes the others'


async def test_what_is_unfinished_keeps_its_exemption(project: Project) -> None:
    first, *_ = project.protected
    project.sandbox.faults.add(Fault(kind="action_never_ends", image_ids=frozenset({first})))
    done = await run(
        unprotect_snapshots,
        project=project.name,
        image_ids=[first],
        reason=REASON,
        approval=False,
        timeout_seconds=0.1,
    )
    assert [one.outcome for one in done.result.report.outcomes] == ["unfinished"]
    assert set(await load_exemptions(project.name)) == {first}


async def test_no_protection_is_removed_when_its_exemption_has_expired_before(project: Project) -> None:
    """A machine that was halted between the record and the request."""
    done = await run(
        unprotect_snapshots,
        project=project.name,
        image_ids=project.protected,
        reason=REASON,
        approval=False,
        hours=1e-9,
    )
    assert not project.removals
    assert done.state.is_failed()
    assert "not requested: its exemption had expired before" in str(done.state.message)
    assert "exempt until" not in str(done.state.message)


async def test_protection_is_scheduled_again_when_it_was_removed_after_the_expiry(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that was scheduled for the expiry has found the snapshot protected."""

    async def wait_until_the_expiry(*arguments: Any, **named: Any) -> WaitResult:
        monkeypatch.setattr("flows._unprotect_project.datetime", Later)
        return await wait_for_changes(*arguments, **named)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=25)

    monkeypatch.setattr("flows._unprotect_project.wait_for_changes", wait_until_the_expiry)
    deployment_id = await ensure_deployment(protect_snapshots, "on-demand")
    try:
        parameters = {"image_ids": project.protected[:1], "reason": REASON, "approval": False}
        done = await run(unprotect_snapshots, project=project.name, **parameters)
        scheduled = await scheduled_protection(project.name)
    finally:
        async with get_client() as client:
            await client.delete_deployment(deployment_id)
    soon = datetime.now(UTC) + timedelta(minutes=2)
    [again] = [one for one in scheduled if one.expected_start_time and one.expected_start_time < soon]
    assert len(scheduled) == 2
    assert f"then protected again by flow run '{again.name}' ({again.id})" in str(done.state.message)


async def test_a_token_that_is_rejected_costs_few_requests_however_many_snapshots_are_named(
    make_sandbox: MakeSandbox, save_project: SaveProject
) -> None:
    sandbox = make_sandbox(snapshots=60, protected=60)
    save_project("rejected", sandbox, token="not-the-token-of-this-project")
    done = await run(
        unprotect_snapshots, project="rejected", image_ids=[*sandbox.images], reason=REASON, approval=False
    )
    assert done.state.is_failed()
    assert "so nothing was changed" in (done.state.message or "")
    assert len(sandbox.requests) <= 10


async def test_a_read_only_token_costs_few_changes_and_each_snapshot_is_reported(
    make_sandbox: MakeSandbox, save_project: SaveProject
) -> None:
    sandbox = make_sandbox(snapshots=15, protected=15, read_only_token="read-only")
    save_project("read-only", sandbox, token="read-only")
    done = await run(
        unprotect_snapshots, project="read-only", image_ids=[*sandbox.images], reason=REASON, approval=False
    )
    assert done.state.is_failed()
    assert "read-only" in (done.state.message or "")
    assert len(sandbox.calls("change_image_protection")) <= 10
    assert {one.outcome for one in done.result.report.outcomes} == {"failed"}
    assert len(done.result.report.outcomes) == 15


async def test_the_scheduled_protection_has_no_parameter_of_the_operator_s(project: Project) -> None:
    deployment_id = await ensure_deployment(protect_snapshots, "on-demand")
    theirs = {"label_selector": "protect!=no", "dry_run": True, "timeout_seconds": 1}
    async with get_client() as client:
        await client.update_deployment(deployment_id, DeploymentUpdate(parameters=theirs, paused=True))
        try:
            parameters = {"image_ids": project.protected[:1], "reason": REASON, "approval": False}
            done = await run(unprotect_snapshots, project=project.name, **parameters)
            [scheduled] = await scheduled_protection(project.name)
        finally:
            await client.delete_deployment(deployment_id)
    assert f"protected again by flow run '{scheduled.name}' ({scheduled.id})" in (done.state.message or "")
    usual = {name: one.default for name, one in signature(protect_snapshots.fn).parameters.items()}
    assert scheduled.parameters == usual | {"projects": [project.name]}
