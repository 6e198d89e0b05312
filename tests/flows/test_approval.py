"""The approval of a run that removes protection: given, declined, too late, and for another plan."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Scheduled

from blocks.credentials import HetznerCloudCredentials
from flows._approval import Approval
from flows._plan_approval import PlanApproval
from flows._unprotect_project import UnprotectRequest
from flows.unprotect_snapshots import unprotect_snapshots
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.models import Image
from sandbox import Fault
from snapshot_protection.unprotect_plan import MAX_ATTEMPTS, ApprovalRequest, UnprotectPlan, make_plan
from tests.support.api_json import image_json
from tests.support.deployed_runs import execute, resume
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, run
from tests.support.stored_exemptions import load_exemptions
from tests.support.unprotect_runs import (
    ANSWER,
    REASON,
    Project,
    becomes,
    make_project,
    retry,
    state_of,
)

CREDENTIALS = HetznerCloudCredentials(token="not-a-token")
REQUEST = UnprotectRequest.validate("prod", [1], REASON, 24, 900)


class Suspended(BaseException):
    """In place of Prefect's signal."""


def _plan(description: str) -> UnprotectPlan:
    image = Image.model_validate(image_json(1, protection={"delete": True}, description=description))
    return make_plan("prod", [1], {1: image}, reason=REASON, hours=24)


def _approved(
    monkeypatch: pytest.MonkeyPatch,
    *,
    attempt: int,
    plan: UnprotectPlan,
    now: UnprotectPlan,
    requested: datetime | None = None,
    decision: Literal["apply", "reject"] = "apply",
) -> list[ApprovalRequest]:
    """Have a plan decided on, and another one made since; returns what is stored from then on."""
    asked = ApprovalRequest(plan=plan, attempt=attempt, key="approved", requested=requested)
    stored: list[ApprovalRequest] = []

    async def load(*_arguments: object) -> ApprovalRequest:
        return asked

    async def save(_key: str, request: ApprovalRequest, _page: str) -> None:
        stored.append(request)

    async def has_suspended(*_arguments: object) -> bool:
        return True

    async def look(*_arguments: object) -> UnprotectPlan:
        return now

    async def answer(key: str, _form: str) -> Approval:
        if key != asked.key:
            raise Suspended
        return Approval(decision=decision, approved_by="on call")

    for name, double in {
        "load_request": load,
        "save_request": save,
        "has_suspended": has_suspended,
        "plan_unprotecting": look,
        "request_approval": answer,
    }.items():
        monkeypatch.setattr(f"flows._plan_approval.{name}", double)
    return stored


@pytest.fixture
def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> Project:
    return make_project(make_sandbox, save_project)


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


async def test_a_run_is_not_resumed_without_a_whole_answer(project: Project) -> None:
    run_id = await project.start(project.protected[:1])
    await execute(unprotect_snapshots, run_id)
    for answer in [
        {},
        {"decision": "apply"},
        {"approved_by": "me, too"},
        {"decision": "yes", "approved_by": "me"},
        ANSWER | {"approved_by": ""},
        ANSWER | {"approved_by": "   "},
        ANSWER | {"approved_by": "x" * 101},
        ANSWER | {"hours": "168"},
    ]:
        with pytest.raises(Exception, match=r"decision|approved_by|required|input|Additional"):
            await resume(run_id, **answer)
        async with get_client() as client:
            assert state_of(await client.read_flow_run(run_id))[0] == "Suspended", answer
    assert not project.removals


async def test_a_plan_that_changed_is_requested_again_with_the_difference(project: Project) -> None:
    first, second, *_ = project.protected
    run_id = await project.start([first, second])
    await execute(unprotect_snapshots, run_id)
    project.sandbox.images[second]["description"] = "of another project"
    await resume(run_id, **ANSWER)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Suspended"
    assert not project.removals
    pages = [str(artifact.data) for artifact in await artifacts_of(run_id)]
    assert any("this is attempt 2" in page and f"snapshot {second}" in page for page in pages)
    await resume(run_id, **ANSWER)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Completed"
    assert sorted(project.removals) == [first, second]


@pytest.mark.parametrize(("hours", "is_used"), [(47, True), (49, False)])
async def test_an_approval_is_requested_again_when_the_run_goes_on_days_later(
    monkeypatch: pytest.MonkeyPatch, hours: float, *, is_used: bool
) -> None:
    """No worker was there to resume it: what was urgent then may surprise now."""
    plan, requested = _plan("unchanged"), datetime.now(UTC) - timedelta(hours=hours)
    stored = _approved(monkeypatch, attempt=1, plan=plan, now=plan, requested=requested)
    with nullcontext() if is_used else pytest.raises(Suspended):
        await PlanApproval(CREDENTIALS, REQUEST, uuid4()).decide(with_approval=True)
    [last] = stored
    assert (last.used, last.attempt) == (is_used, 1 if is_used else 2)
    assert last.differences == (() if is_used else ("it was requested more than 48 hours ago",))


async def test_the_page_of_a_rejected_plan_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan("unchanged")
    stored = _approved(monkeypatch, attempt=1, plan=plan, now=plan, decision="reject")
    assert (await PlanApproval(CREDENTIALS, REQUEST, uuid4()).decide(with_approval=True)).rejected
    assert [one.used for one in stored] == [True]


@pytest.mark.parametrize("attempt", [1, 2, 3])
async def test_a_plan_that_changes_each_time_ends_after_three_attempts(
    monkeypatch: pytest.MonkeyPatch, attempt: int
) -> None:
    """The third approval is the last that is requested."""
    asked = _approved(monkeypatch, attempt=attempt, plan=_plan("as approved"), now=_plan("as it is now"))
    with pytest.raises(InvalidArgumentError if attempt == MAX_ATTEMPTS else Suspended) as caught:
        await PlanApproval(CREDENTIALS, REQUEST, uuid4()).decide(with_approval=True)
    if attempt == MAX_ATTEMPTS:
        text = "The plan changed 3 times before it could be applied; nothing was changed: snapshot 1: other"
        assert str(caught.value).startswith(text)
        assert asked == []
    else:
        assert [(one.attempt, one.used) for one in asked] == [(attempt + 1, False)]


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
    assert not await load_exemptions(project.name)
    assert state_of(await retry(run_id))[0] == "Suspended"
    assert len(project.removals) == 1


@pytest.mark.slow
async def test_a_run_that_no_one_approves_fails_and_can_be_retried(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows._approval._TIMEOUT_SECONDS", 0.2)
    run_id = await project.start(project.protected[:1])
    first = await execute(unprotect_snapshots, run_id)
    await becomes(run_id, "Failed")
    monkeypatch.undo()
    second = await retry(run_id)
    assert state_of(second)[0] == "Suspended"
    assert first.state
    assert second.state  # under another key: a server of 3.8.8 responds with 409 to a second form under one
    assert first.state.state_details.pause_key != second.state.state_details.pause_key
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


async def test_a_run_that_goes_on_without_an_answer_requests_it_again(project: Project) -> None:
    run_id = await project.start(project.protected[:1])
    await execute(unprotect_snapshots, run_id)
    async with get_client() as client:
        await client.set_flow_run_state(run_id, Scheduled(), force=True)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Suspended"
    assert not project.removals


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("\u200b\u200b", "a name without visible characters"),
        ("the\non-call\x1b[31m operator", "the on-call [31m operator"),
    ],
)
def test_who_approved_is_never_empty_and_always_one_line(stated: str, shown: str) -> None:
    assert Approval(decision="apply", approved_by=stated).stated_name == shown


@pytest.mark.parametrize("call", ["load_request", "request_approval"])
async def test_a_prefect_server_that_fails_before_the_approval_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    async def fail(*_arguments: object) -> None:
        request = httpx.Request("POST", "http://user:password@127.0.0.1/api/artifacts/")
        raise httpx.HTTPStatusError(str(request.url), request=request, response=httpx.Response(503))

    monkeypatch.setattr(f"flows._plan_approval.{call}", fail)
    run_id = await project.start(project.protected[:1])
    name, message = state_of(await execute(unprotect_snapshots, run_id))
    assert name == "Failed"
    assert message.endswith("so nothing was changed: the Prefect API returned 503. Run it again.")
    assert not project.removals
