"""Which flow runs an audit finds interrupted or never started, on a Prefect server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import Event
from prefect.states import Cancelling, Completed, Pending, Running, Scheduled

import records.interrupted_runs
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from records.interrupted_runs import find_interrupted_runs
from sandbox import Sandbox
from snapshot_protection import interrupted_runs
from snapshot_protection.audit_report import AuditReport
from snapshot_protection.interrupted_runs import (
    InterruptedRuns,
)
from tests.support.fixtures import SaveProject
from tests.support.flow_runs import artifacts_of, delete_unfinished, eventually, log_of, run

ADVICE = (
    "Cancel these flow runs in the UI unless they are still in progress, and start again what is needed; "
    "protected snapshots are skipped."
)


@flow(name="another-user-s")
def other_flow() -> None: ...


@pytest.fixture
async def client(engine: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrefectClient]:
    """A client of a server without unfinished flow runs, to which every sign of life is an old one."""
    monkeypatch.setattr(interrupted_runs, "SILENT_AFTER_SECONDS", 0)
    async with get_client() as client:
        await delete_unfinished(client)
        yield client
        await delete_unfinished(client)


async def heartbeat(client: PrefectClient, of: FlowRun, occurred: datetime) -> None:
    event = Event(
        event="prefect.flow-run.heartbeat",
        resource={"prefect.resource.id": f"prefect.flow-run.{of.id}"},
        occurred=occurred,
        id=uuid4(),
    )
    answer = await client._client.post("/events", json=[event.model_dump(mode="json")])
    answer.raise_for_status()


@pytest.mark.parametrize("state", [Running(), Pending(), Pending(name="Submitting"), Cancelling()], ids=str)
async def test_an_unfinished_run_of_ours_is_found(client: PrefectClient, state: State[Any]) -> None:
    begun = await client.create_flow_run(protect_snapshots, name="protect-prod", state=state)
    [found] = (await find_interrupted_runs()).runs
    assert (found.id, found.name, found.state) == (begun.id, "protect-prod", state.name)
    assert found.started is state.is_running()


async def test_what_is_finished_or_scheduled_or_not_ours_is_none(client: PrefectClient) -> None:
    states: list[State[Any]] = [Completed(), Scheduled()]
    for state in states:
        await client.create_flow_run(audit_snapshot_protection, state=state)
    await client.create_flow_run(other_flow, state=Running())
    assert await find_interrupted_runs() == InterruptedRuns()


async def test_a_run_of_another_project_s_deployment_is_none_though_its_flow_has_the_same_name(
    client: PrefectClient,
) -> None:
    flow_id = await client.create_flow(protect_snapshots)
    begun = []
    for entrypoint in ("flows.protect_snapshots.protect_snapshots", "jobs.protect_snapshots", None):
        deployment = await client.create_deployment(flow_id, str(entrypoint), entrypoint=entrypoint)
        begun.append(await client.create_flow_run_from_deployment(deployment, state=Pending()))
    assert [one.id for one in (await find_interrupted_runs()).runs] == [begun[0].id]
    for item in await client.read_deployments():
        await client.delete_deployment(item.id)


async def test_the_last_heartbeat_of_each_run_is_read_and_a_recent_one_is_life(client: PrefectClient) -> None:
    live, dead, mute = [await client.create_flow_run(protect_snapshots, state=Running()) for _ in range(3)]
    last = datetime.now(UTC).replace(microsecond=0)
    for minutes in (3, 0, 2):
        await heartbeat(client, dead, last - timedelta(minutes=minutes))
    await heartbeat(client, live, last + timedelta(minutes=5))

    async def read() -> InterruptedRuns:
        return await find_interrupted_runs()

    found = await eventually(read, lambda it: [one.last_heartbeat for one in it.runs] == [None, last])
    assert [one.id for one in found.runs] == [mute.id, dead.id]


async def test_the_newest_runs_are_found_where_older_ones_were_never_cancelled(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records.interrupted_runs, "_MAX_RUNS", 2)
    begun = [await client.create_flow_run(protect_snapshots, state=Pending()) for _ in range(3)]
    found = await find_interrupted_runs()
    assert [one.id for one in found.runs] == [begun[2].id, begun[1].id]
    assert not found.is_complete


async def test_an_audit_names_them_everywhere_and_stays_completed(
    client: PrefectClient, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-interrupted", sandbox)
    begun = await client.create_flow_run(protect_snapshots, name="protect-prod", state=Pending())
    done = await run(audit_snapshot_protection, projects=["audit-interrupted"])
    assert done.state.is_completed()
    assert done.state.message
    seen = f"flow run 'protect-prod' ({begun.id}): Pending since "
    assert f"; 1 flow run without a heartbeat or state change in the last 90 s: {seen}" in done.state.message
    assert done.state.message.endswith(ADVICE)
    assert str(done.record.id) not in done.state.message  # it is Running itself
    await log_of(done.record.id, until=f"May be interrupted, or never started: {seen}")
    [summary] = [one for one in await artifacts_of(done.record.id) if one.key == "snapshot-audit-summary"]
    assert "### Flow runs that may be interrupted" in str(summary.data)
    assert str(begun.id).replace("-", "\\-") in str(summary.data)
    assert len(sandbox.requests) == 1


async def test_an_audit_within_another_run_of_ours_names_none_of_its_ancestors(
    client: PrefectClient, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-within", sandbox)

    @flow(name="protect-on-workers", retries=0)
    async def outermost() -> AuditReport:
        return await outer()

    @flow(name="protect-snapshots", retries=0)
    async def outer() -> AuditReport:
        return await audit_snapshot_protection(projects=["audit-within"])

    assert (await outermost()).interrupted == InterruptedRuns()


async def test_an_audit_goes_on_and_says_so_if_the_check_fails(
    client: PrefectClient,
    save_project: SaveProject,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_project("audit-unchecked", sandbox)

    async def refuse(*_: object, **__: object) -> None:
        response = httpx.Response(503, request=httpx.Request("POST", "http://user:secret@prefect/api"))
        response.raise_for_status()

    monkeypatch.setattr(PrefectClient, "read_flow_runs", refuse)
    done = await run(audit_snapshot_protection, projects=["audit-unchecked"])
    assert done.state.is_completed()
    assert done.state.message
    assert "; the check for interrupted flow runs failed: the Prefect API returned 503" in done.state.message
    assert "2 of 6 snapshots protected" in done.state.message
    monkeypatch.undo()
    log = await log_of(done.record.id, until="The check for interrupted flow runs failed")
    assert "secret" not in log + done.state.message
