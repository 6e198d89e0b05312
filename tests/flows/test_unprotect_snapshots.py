"""Removing protection on the engine, against sandboxes over real HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

from flows.unprotect_snapshots import unprotect_snapshots
from records.exemptions import load_exemptions
from sandbox import Fault, Sandbox
from tests.support.deployed_runs import create_run, execute, resume
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, eventually, run

REASON = "moved to the new cluster"
DEPLOYMENT = "with-approval"
ANSWER = {"decision": "apply", "approved_by": "the on-call operator"}


class Project:
    """A saved project, and what its sandbox saw."""

    def __init__(self, name: str, sandbox: Sandbox) -> None:
        self.name = name
        self.sandbox = sandbox
        self.protected = [one for one, image in sandbox.images.items() if image["protection"]["delete"]]

    @property
    def removals(self) -> list[int]:
        """The ids of the snapshots for which a request to remove protection was sent."""
        changes = self.sandbox.calls("change_image_protection")
        return [int(change.path.split("/")[3]) for change in changes]

    @property
    def unprotected(self) -> list[int]:
        return [one for one in self.protected if not self.sandbox.images[one]["protection"]["delete"]]

    async def start(self, image_ids: list[int], **parameters: Any) -> UUID:
        return await create_run(
            unprotect_snapshots,
            DEPLOYMENT,
            **{"project": self.name, "image_ids": image_ids, "reason": REASON, **parameters},
        )


@pytest.fixture
def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> Project:
    sandbox = make_sandbox(snapshots=4, protected=4, backups=1)
    name = f"unprotect-{uuid4().hex[:8]}"
    save_project(name, sandbox)
    return Project(name, sandbox)


def state_of(run: FlowRun) -> tuple[str, str]:
    assert run.state
    return run.state.name or "", run.state.message or ""


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
        f"snapshot-exemptions-{project.name}",
    }


async def test_a_rejected_plan_changes_nothing(project: Project) -> None:
    run_id = await project.start(project.protected[:2])
    await execute(unprotect_snapshots, run_id)
    await resume(run_id, decision="reject", approved_by="the on-call operator")
    assert state_of(await execute(unprotect_snapshots, run_id)) == (
        "Rejected",
        "Rejected by the on-call operator (as stated); nothing was changed.",
    )
    assert not project.removals
    assert not await load_exemptions(project.name)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"decision": "apply"},
        {"approved_by": "me, too"},
        {"decision": "yes", "approved_by": "me"},
        ANSWER | {"approved_by": ""},
    ],
    ids=str,
)
async def test_a_run_is_not_resumed_without_a_whole_answer(project: Project, answer: dict[str, str]) -> None:
    run_id = await project.start(project.protected[:1])
    await execute(unprotect_snapshots, run_id)
    with pytest.raises(Exception, match=r"decision|approved_by|required|input"):
        await resume(run_id, **answer)
    async with get_client() as client:
        assert state_of(await client.read_flow_run(run_id))[0] == "Suspended"
    assert not project.removals


async def test_a_plan_that_changed_is_requested_again_with_the_difference(project: Project) -> None:
    first, second, *_ = project.protected
    run_id = await project.start([first, second])
    await execute(unprotect_snapshots, run_id)
    project.sandbox.images[second]["description"] = "of somebody else"
    await resume(run_id, **ANSWER)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Suspended"
    assert not project.removals
    pages = [str(artifact.data) for artifact in await artifacts_of(run_id)]
    assert any("this is attempt 2" in page and f"snapshot {second}" in page for page in pages)
    await resume(run_id, **ANSWER)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Completed"
    assert sorted(project.removals) == [first, second]


async def test_a_plan_that_changes_each_time_ends_after_three_attempts(project: Project) -> None:
    [first, *_] = project.protected
    run_id = await project.start([first])
    for attempt in range(3):
        assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Suspended"
        project.sandbox.images[first]["description"] = f"changed {attempt}"
        await resume(run_id, **ANSWER)
    name, message = state_of(await execute(unprotect_snapshots, run_id))
    assert name == "Failed"
    assert message.startswith("The plan changed 3 times before it could be applied; nothing was changed")
    assert not project.removals


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


@pytest.mark.parametrize(
    ("kind", "text"),
    [("backup", "is no snapshot, but of the type backup"), ("creating", "is still being created")],
)
async def test_what_has_no_protection_to_remove_is_rejected_by_id(
    project: Project, kind: str, text: str
) -> None:
    [image_id] = [one for one, image in project.sandbox.images.items() if image["type"] == "backup"]
    if kind == "creating":
        image_id = project.protected[0]
        project.sandbox.images[image_id]["status"] = "creating"
    run_id = await project.start([image_id, project.protected[1]])
    name, message = state_of(await execute(unprotect_snapshots, run_id))
    assert name == "Failed"
    assert f"image {image_id} {text}" in message
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


async def test_from_a_shell_an_approval_cannot_be_waited_for(project: Project) -> None:
    done = await run(unprotect_snapshots, project=project.name, image_ids=project.protected, reason=REASON)
    assert done.state.is_failed()
    assert "Only a run of a deployment can wait for approval" in (done.state.message or "")
    assert not project.sandbox.requests


async def test_an_approval_is_good_for_one_try(project: Project) -> None:
    first, *_ = project.protected
    project.sandbox.faults.add(Fault(kind="error", operation="change_image_protection", status=403, times=1))
    run_id = await project.start([first])
    await execute(unprotect_snapshots, run_id)
    await resume(run_id, **ANSWER)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Failed"
    assert len(project.removals) == 1
    assert set(await load_exemptions(project.name)) == {first}
    assert state_of(await retry(run_id))[0] == "Suspended"
    assert len(project.removals) == 1


async def retry(run_id: UUID) -> FlowRun:
    """Retry a run as the UI does."""
    async with get_client() as client:
        await client.request(
            "POST",
            "/flow_runs/{id}/set_state",
            path_params={"id": run_id},
            json={"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True},
        )
    return await execute(unprotect_snapshots, run_id)


async def state_becomes(run_id: UUID, name: str) -> None:
    async def read() -> str:
        async with get_client() as client:
            return state_of(await client.read_flow_run(run_id))[0]

    await eventually(read, lambda found: found == name)


async def test_a_run_that_nobody_approves_fails_and_can_be_retried(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows._approval._TIMEOUT_SECONDS", 1)
    run_id = await project.start(project.protected[:1])
    await execute(unprotect_snapshots, run_id)
    await state_becomes(run_id, "Failed")
    monkeypatch.undo()
    assert state_of(await retry(run_id))[0] == "Suspended"
    assert not project.removals
    await resume(run_id, **ANSWER)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Completed"
    assert project.removals == project.protected[:1]


async def test_a_cancelled_run_changes_nothing_and_cannot_be_resumed(project: Project) -> None:
    run_id = await project.start(project.protected[:1])
    await execute(unprotect_snapshots, run_id)
    async with get_client() as client:
        await client.set_flow_run_state(run_id, Cancelled(), force=True)
    with pytest.raises(Exception, match="isn't paused"):
        await resume(run_id, **ANSWER)
    assert not project.removals


async def test_a_run_that_cannot_record_exemptions_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_record: object) -> None:
        raise RuntimeError("the server went away")

    monkeypatch.setattr("flows._unprotect_project.save_exemptions", fail)
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
