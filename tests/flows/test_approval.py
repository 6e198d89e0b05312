"""The approval of a run that removes protection: given, declined, too late, and for another plan."""

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Scheduled

from flows.unprotect_snapshots import unprotect_snapshots
from records.exemptions import load_exemptions
from sandbox import Fault
from tests.support.deployed_runs import execute, resume
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, run
from tests.support.unprotect_runs import (
    ANSWER,
    REASON,
    Project,
    becomes,
    make_project,
    retry,
    state_of,
)


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


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"decision": "apply"},
        {"approved_by": "me, too"},
        {"decision": "yes", "approved_by": "me"},
        ANSWER | {"approved_by": ""},
        ANSWER | {"approved_by": "   "},
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


async def test_a_run_that_nobody_approves_fails_and_can_be_retried(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows._approval._TIMEOUT_SECONDS", 1)
    run_id = await project.start(project.protected[:1])
    await execute(unprotect_snapshots, run_id)
    await becomes(run_id, "Failed")
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


async def test_a_retried_run_requests_its_approval_under_another_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of 3.8.8 responds with 409 to a second form under one key."""
    monkeypatch.setattr("flows._approval._TIMEOUT_SECONDS", 1)
    run_id = await project.start(project.protected[:1])
    first = await execute(unprotect_snapshots, run_id)
    await becomes(run_id, "Failed")
    monkeypatch.undo()
    second = await retry(run_id)
    assert first.state
    assert second.state
    assert second.state.name == "Suspended"
    assert first.state.state_details.pause_key != second.state.state_details.pause_key


async def test_a_run_that_goes_on_without_an_answer_requests_it_again(project: Project) -> None:
    run_id = await project.start(project.protected[:1])
    await execute(unprotect_snapshots, run_id)
    async with get_client() as client:
        await client.set_flow_run_state(run_id, Scheduled(), force=True)
    assert state_of(await execute(unprotect_snapshots, run_id))[0] == "Suspended"
    assert not project.removals


async def test_who_approved_is_never_empty_and_always_one_line(project: Project) -> None:
    [first, second, *_] = project.protected
    invisible = await project.start([first])
    await execute(unprotect_snapshots, invisible)
    await resume(invisible, decision="apply", approved_by="\u200b\u200b")
    assert state_of(await execute(unprotect_snapshots, invisible))[0] == "Completed"
    assert (await load_exemptions(project.name))[first].approved_by == "a name without visible characters"
    several_lines = await project.start([second])
    await execute(unprotect_snapshots, several_lines)
    await resume(several_lines, decision="reject", approved_by="the\non-call\x1b[31m operator")
    message = state_of(await execute(unprotect_snapshots, several_lines))[1]
    assert message == "Rejected by the on-call [31m operator (as stated); nothing was changed."


@pytest.mark.parametrize("call", ["load_request", "save_request", "request_approval"])
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
