"""Which flow runs an audit reports as interrupted or never started, and in which words."""

import pickle
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import yaml
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import Event
from prefect.states import Cancelling, Completed, Pending, Running, Scheduled

import records.interrupted_runs
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_on_workers import protect_on_workers
from flows.protect_snapshots import protect_snapshots
from records.interrupted_runs import FLOW_NAMES, find_interrupted_runs
from sandbox import Sandbox
from snapshot_protection import interrupted_runs
from snapshot_protection.audit_pages import render_summary
from snapshot_protection.audit_report import AuditFailedError, AuditReport, ProjectAudit, format_message
from snapshot_protection.interrupted_runs import (
    SILENT_AFTER_SECONDS,
    InterruptedRuns,
    UnfinishedRun,
    describe_run,
    select_silent,
)
from tests.conftest import SaveProject
from tests.support.flow_runs import artifacts_of, eventually, log_of, run

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 25, 5, tzinfo=UTC)
ID = UUID("01a21533-64d8-74e0-897b-7d56b2707a1c")
ADVICE = (
    "Cancel these flow runs in the UI unless they are still in progress, and start again what is needed; "
    "protected snapshots are skipped."
)


def unfinished(state: str = "Running", **fields: Any) -> UnfinishedRun:
    known = {"id": ID, "name": "protect-prod", "since": NOW - timedelta(minutes=45), "started": True}
    return UnfinishedRun.model_validate(known | {"state": state} | fields)


def report(interrupted: InterruptedRuns) -> AuditReport:
    return AuditReport(audited=NOW, projects=(ProjectAudit(project="prod"),), interrupted=interrupted)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (
            unfinished(last_heartbeat=NOW - timedelta(minutes=44)),
            f"flow run 'protect-prod' ({ID}): Running since 2026-11-25 04:15 UTC, last heartbeat 04:16 UTC",
        ),
        (
            unfinished(last_heartbeat=NOW + timedelta(days=1)),
            "Running since 2026-11-25 04:15 UTC, last heartbeat 2026-11-26 05:00 UTC",
        ),
        (unfinished(), "Running since 2026-11-25 04:15 UTC, no heartbeat seen"),
        (unfinished("Pending", started=False), f"({ID}): Pending since 2026-11-25 04:15 UTC"),
        (unfinished(name="a\nb\x1b"), "flow run 'a b' ("),
    ],
    ids=["heartbeat", "another day", "no heartbeat", "pending", "untrusted name"],
)
def test_a_flow_run_is_described_by_what_was_seen(seen: UnfinishedRun, text: str) -> None:
    described = describe_run(seen)
    assert text in described
    assert "heartbeat" not in described or seen.started


@pytest.mark.parametrize(
    ("since", "heartbeat", "selected"),
    [
        (89, None, 0),
        (90, None, 1),
        (9000, 89, 0),
        (9000, 90, 1),
        (60, 9000, 0),
        (-3600, None, 0),
        (-3601, None, 1),
        (-3601, 89, 0),
    ],
)
def test_a_flow_run_is_silent_without_heartbeat_and_state_change(
    since: float, heartbeat: float | None, selected: int
) -> None:
    last = None if heartbeat is None else NOW - timedelta(seconds=heartbeat)
    seen = unfinished(since=NOW - timedelta(seconds=since), last_heartbeat=last)
    assert len(select_silent([seen], now=NOW)) == selected


def test_the_message_names_the_first_five_and_says_what_to_do() -> None:
    runs = tuple(unfinished("Pending", started=False, id=uuid4()) for _ in range(8))
    message = format_message(report(InterruptedRuns(runs=runs)))
    assert message.startswith(
        "No snapshot found in 1 project; 8 flow runs without a heartbeat or state change in the last 90 s: "
        f"flow run 'protect-prod' ({runs[0].id}): Pending since 2026-11-25 04:15 UTC; flow run"
    )
    assert message.endswith(f"; and 3 more. {ADVICE}")
    assert [str(one.id) in message for one in runs] == [True] * 5 + [False] * 3


def test_nothing_is_said_where_nothing_was_interrupted() -> None:
    assert format_message(report(InterruptedRuns())) == "No snapshot found in 1 project"
    assert "flow run" not in render_summary(report(InterruptedRuns()))


def test_the_summary_has_a_section_with_untrusted_names_escaped() -> None:
    runs = tuple(unfinished(id=uuid4(), name=f"<b>{number}</b>") for number in range(22))
    summary = render_summary(report(InterruptedRuns(runs=runs, is_complete=False)))
    _, _, section = summary.partition("### Flow runs that may be interrupted")
    assert "at least 22 flow runs without a heartbeat" in section
    assert section.count("- 🟡 flow run") == 20
    assert "- and 2 more, see the page Runs" in section
    assert "<b>" not in summary
    assert ADVICE in section


def test_a_failed_check_is_part_of_message_and_summary() -> None:
    audit = report(InterruptedRuns(error="the Prefect API returned 503"))
    text = "the check for interrupted flow runs failed: the Prefect API returned 503"
    assert format_message(audit) == f"No snapshot found in 1 project; {text}"
    assert f"- 🟡 {text}" in render_summary(audit).replace("\\", "")


def test_a_report_with_interrupted_runs_survives_pickling() -> None:
    audit = report(InterruptedRuns(runs=(unfinished(),)))
    assert pickle.loads(pickle.dumps(AuditFailedError(audit))).report == audit


def test_three_heartbeats_are_the_limit_everywhere() -> None:
    automation = yaml.safe_load((ROOT / "docs" / "automations" / "zombie-runs.yaml").read_text())
    prefect_yaml = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    frequency = prefect_yaml["definitions"]["pool"]["job_variables"]["env"][
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
    ]
    assert automation["trigger"]["within"] == SILENT_AFTER_SECONDS == 3 * int(frequency)
    assert f"{SILENT_AFTER_SECONDS} seconds" in automation["actions"][0]["message"]


def test_no_deployment_has_a_concurrency_limit() -> None:
    assert "concurrency" not in (ROOT / "prefect.yaml").read_text()


def test_all_flows_are_looked_for() -> None:
    assert set(FLOW_NAMES) == {
        one.name for one in (protect_snapshots, audit_snapshot_protection, protect_on_workers)
    }


@flow(name="somebody-else-s")
def other_flow() -> None: ...


@pytest.fixture
async def client(engine: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrefectClient]:
    """A client of a server without unfinished flow runs, to which every sign of life is an old one."""
    monkeypatch.setattr(interrupted_runs, "SILENT_AFTER_SECONDS", 0)
    async with get_client() as client:
        await forget_unfinished(client)
        yield client
        await forget_unfinished(client)


async def forget_unfinished(client: PrefectClient) -> None:
    for one in await client.read_flow_runs():
        if one.state and not one.state.is_final():
            await client.delete_flow_run(one.id)


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
