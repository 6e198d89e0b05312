"""The audit on the engine, against sandboxes over real HTTP."""

import json
import re
from collections import Counter
from datetime import datetime
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import Artifact as ArtifactRecord
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter
from prefect.types._datetime import now as prefect_now

from flows import audit_snapshot_protection as audit_flow
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.errors import InvalidArgumentError
from records.record_versions import read_last_versions
from sandbox import Fault, Sandbox
from snapshot_protection.audit_report import AuditFailedError
from snapshot_protection.project_audit import ProjectAudit
from tests.support.audit_runs import audit, report_of
from tests.support.fixtures import TOKEN, MakeSandbox, SaveProject
from tests.support.flow_runs import Run, artifacts_of, eventually, log_of, run, task_runs_of
from tests.support.protection_runs import operations, unprotected


def findings_of(done: Run) -> Counter[str]:
    return report_of(done).finding_counts


async def artifact_named(done: Run, key: str) -> ArtifactRecord:
    [artifact] = [one for one in await artifacts_of(done.record.id) if one.key == key]
    return artifact


async def rows_of(done: Run, project: str) -> list[dict[str, Any]]:
    data = (await artifact_named(done, f"audited-snapshots-{project}")).data
    rows = json.loads(data) if isinstance(data, str) else data
    assert isinstance(rows, list)
    return rows


async def render_summary(done: Run) -> str:
    return str((await artifact_named(done, "snapshot-audit-summary")).data)


async def test_an_audit_counts_and_changes_nothing(save_project: SaveProject, sandbox: Sandbox) -> None:
    save_project("audit-counts", sandbox)
    done = await audit("audit-counts")
    assert done.state.is_completed()
    assert done.record.state_name == "Unprotected"
    assert done.state.message == (
        "2 of 6 snapshots protected in 1 project, 4 unprotected. "
        "Run protect-snapshots to protect the unprotected snapshots."
    )
    assert done.record.name == "audit-audit-counts"
    assert findings_of(done) == {"protected": 2, "unprotected": 4}
    assert operations(sandbox.requests) == {"list_images": 1}
    rows = await rows_of(done, "audit-counts")
    assert [row["finding"] for row in rows] == ["🟡 unprotected"] * 4 + ["🟢 protected"] * 2
    summary = await render_summary(done)
    assert "first audit" in summary
    assert re.search(rf"Published by \[this flow run\]\(http\S+/runs/flow-run/{done.record.id}\)", summary)


async def test_a_read_only_token_is_enough_and_pages_are_all_that_is_asked(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=120, protected=120, read_only_token=f"{TOKEN}-reads")
    save_project("audit-reads", sandbox, token=f"{TOKEN}-reads")
    done = await audit("audit-reads")
    assert done.record.state_name == "Completed"
    assert done.state.message == "120 of 120 snapshots protected in 1 project"
    assert operations(sandbox.requests) == {"list_images": 3}
    assert {record.method for record in sandbox.requests} == {"GET"}


async def test_what_lost_its_protection_behind_our_back_is_the_first_row_with_its_action(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=120, protected=110)
    save_project("audit-unprotected", sandbox)
    await audit("audit-unprotected")
    victim = sorted(sandbox.images)[77]
    action = sandbox.set_protection(victim, delete=False)
    before = len(sandbox.requests)

    done = await audit("audit-unprotected", grace_hours=24 * 365 * 10)  # no grace period excuses it

    first, *others = await rows_of(done, "audit-unprotected")
    assert (first["snapshot"], first["finding"]) == (victim, "🔴 newly unprotected")
    assert first["removed by"].startswith(f"action {action} of 20")
    assert not [row for row in others if row["removed by"]]
    assert done.state.message
    assert "1 unprotected (1 new), 10 in grace period" in done.state.message
    assert f"audit-unprotected/{victim} newly unprotected: action {action}" in done.state.message
    assert operations(sandbox.requests[before:]) == {"list_images": 3, "list_image_actions": 1}
    await log_of(done.record.id, until=f"audit-unprotected/{victim} newly unprotected: action {action}")

    before = len(sandbox.requests)
    third = await audit("audit-unprotected")
    assert findings_of(third) == {"protected": 109, "unprotected": 10, "newly_unprotected": 1}
    since = f"{report_of(done).projects[0].listed:%Y-%m-%d %H:%M} UTC"
    assert f"audit-unprotected/{victim} unprotected since {since}: action {action}" in (
        third.state.message or ""
    )
    assert "11 unprotected; " in (third.state.message or "")
    assert operations(sandbox.requests[before:]) == {"list_images": 3}  # its action is in the baseline


async def test_what_has_changed_since_the_last_audit_is_told(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=6, protected=3)
    save_project("audit-changes", sandbox)
    await audit("audit-changes")
    kept, lost, gone, newly, stays, gone_bare = sorted(sandbox.images)
    sandbox.set_protection(lost, delete=False)
    sandbox.delete_image(gone)
    sandbox.set_protection(newly, delete=True)
    sandbox.delete_image(gone_bare)
    fresh = sandbox.add_snapshot()
    guarded = sandbox.add_snapshot(protection={"delete": True})

    done = await audit("audit-changes")

    found = {one.image_id: one.finding for one in report_of(done).projects[0].findings}
    assert found == {
        lost: "newly_unprotected",
        gone: "missing_protected",
        fresh: "new_unprotected",
        stays: "unprotected",
        gone_bare: "missing",
        newly: "newly_protected",
        guarded: "new",
        kept: "protected",
    }
    assert [row["snapshot"] for row in await rows_of(done, "audit-changes")] == list(found)
    assert "▁" in await render_summary(done) or "▄" in await render_summary(done)


async def test_an_audit_through_another_label_selector_has_a_separate_baseline(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-labels", sandbox)
    await audit("audit-labels")
    some = await audit("audit-labels", label_selector="env=prod")
    again = await audit("audit-labels")
    assert 0 < findings_of(some).total() < 6
    assert not {"new", "missing", "missing_protected", "new_unprotected"} & {
        *findings_of(some),
        *findings_of(again),
    }


async def test_young_snapshots_are_listed_and_not_counted(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=2, protected=2)
    young = sandbox.add_snapshot()
    save_project("audit-grace", sandbox)
    done = await audit("audit-grace", grace_hours=1, fail_on_unprotected=True)
    assert done.state.is_completed()
    assert done.state.message == "2 of 2 snapshots protected in 1 project, 1 in grace period"
    assert (await rows_of(done, "audit-grace"))[0]["snapshot"] == young


async def test_unprotected_snapshots_fail_the_run_only_if_asked_to(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-fails", sandbox)
    done = await audit("audit-fails", fail_on_unprotected=True)
    assert done.state.is_failed()
    assert isinstance(done.result, AuditFailedError)
    for image_id in unprotected(sandbox):
        sandbox.set_protection(image_id, delete=True)
    assert (await audit("audit-fails", fail_on_unprotected=True)).state.is_completed()


@pytest.mark.slow
async def test_projects_that_cannot_be_read_fail_the_run_and_the_others_are_reported(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    good, refusing, dead = make_sandbox(snapshots=60), make_sandbox(snapshots=3), Sandbox(token=TOKEN)
    dead.endpoint = "http://127.0.0.1:9/v1"
    save_project("audit-good", good)
    save_project("audit-refused", refusing, token=f"{TOKEN}-wrong")
    save_project("audit-dead", dead)

    done = await audit("audit-refused", "audit-good", "audit-dead")

    assert done.state.is_failed()
    message = done.state.message or ""
    assert message.startswith(
        "0 of 60 snapshots protected in 3 projects, 60 unprotected, 2 projects could not"
    )
    assert "project 'audit-refused' could not be read: " in message
    assert "the credentials block 'audit-refused'" in message
    assert "project 'audit-dead' could not be read: " in message
    assert "127.0.0.1" in message
    assert "Traceback" not in message
    assert "File" not in message
    assert len(await rows_of(done, "audit-good")) == 60
    for name in ("audit-refused", "audit-dead"):
        [row] = await rows_of(done, name)
        assert row["finding"].startswith("🔴 could not be read")
    states = {record.name: record.state_type for record in await task_runs_of(done.record.id, at_least=3)}
    assert {name: state.value for name, state in states.items() if state} == {
        "list-snapshots-audit-good": "COMPLETED",
        "list-snapshots-audit-refused": "FAILED",
        "list-snapshots-audit-dead": "FAILED",
    }


async def test_a_project_that_cannot_be_read_keeps_its_baseline(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=3)
    save_project("audit-comes-back", sandbox)
    await audit("audit-comes-back")
    sandbox.set_protection(min(sandbox.images), delete=False)
    save_project("audit-comes-back", sandbox, token=f"{TOKEN}-wrong")
    assert (await audit("audit-comes-back")).state.is_failed()
    save_project("audit-comes-back", sandbox)
    assert findings_of(await audit("audit-comes-back"))["newly_unprotected"] == 1


async def test_evidence_that_cannot_be_read_costs_no_finding(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=3)
    save_project("audit-blind", sandbox)
    await audit("audit-blind")
    sandbox.set_protection(min(sandbox.images), delete=False)
    sandbox.faults.add(Fault(kind="error", operation="list_image_actions", status=400, code="invalid_input"))
    done = await audit("audit-blind")
    assert done.state.is_completed()
    assert findings_of(done)["newly_unprotected"] == 1
    assert "who removed the protection could not be looked up" in await render_summary(done)


async def test_two_blocks_of_one_project_are_said_and_counted_once(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-once", sandbox)
    save_project("audit-twice", sandbox)
    done = await audit("audit-once", "audit-twice")
    assert done.state.message
    assert done.state.message.startswith("2 of 6 snapshots protected in 1 project, 4 unprotected")
    assert "audit\\-twice and audit\\-once are the same project" in await render_summary(done)


async def test_what_only_the_second_block_s_history_knows_is_found_and_both_remember_it(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=3, protected=3)
    save_project("audit-z-old", sandbox)
    await audit("audit-z-old")
    victim = min(sandbox.images)
    sandbox.set_protection(victim, delete=False)
    loud = sandbox.endpoint.replace("127.0.0.1", "LOCALHOST")
    quiet = Sandbox(token=sandbox.token)
    for name, endpoint in {"audit-a-new": loud, "audit-z-old": loud.lower() + "/"}.items():
        quiet.endpoint = endpoint
        save_project(name, quiet)

    done = await audit("audit-a-new", "audit-z-old")

    assert f"audit-a-new/{victim} newly unprotected: action" in (done.state.message or "")
    assert "same project as audit\\-a\\-new" in await render_summary(done)
    for name in ("audit-a-new", "audit-z-old"):
        assert findings_of(await audit(name)) == {"newly_unprotected": 1, "protected": 2}


async def events(name: str, since: datetime) -> list[Any]:
    wanted = EventFilter(
        event=EventNameFilter(name=[f"hetzner-cloud.snapshots.{name}"]),
        occurred=EventOccurredFilter(since=since),
    )
    async with get_client() as client:
        answer = await client._client.post("/events/filter", json={"filter": wanted.model_dump(mode="json")})
    return list(answer.raise_for_status().json()["events"])


@pytest.mark.slow
async def test_a_project_in_which_a_protected_snapshot_is_missing_emits_an_event_in_each_audit(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    cloud = make_sandbox(snapshots=3, protected=2)
    save_project("audit-deleted", cloud)
    snapshots = {one: image for one, image in cloud.images.items() if image["type"] == "snapshot"}
    protected, *_ = (one for one, image in snapshots.items() if image["protection"]["delete"])
    [bare] = (one for one, image in snapshots.items() if not image["protection"]["delete"])
    since = prefect_now("UTC")
    await audit("audit-deleted")
    for gone in (protected, bare):
        cloud.delete_image(gone)
    for _ in range(2):
        assert (await audit("audit-deleted")).state.is_completed()
    found = await eventually(lambda: events("missing", since), lambda found: len(found) > 1)
    assert [event["resource"]["prefect.resource.id"] for event in found] == [
        "hetzner-cloud.project.audit-deleted"
    ] * 2
    payloads = [{"count": 1, "since_last_audit": new, "image_ids": [protected]} for new in (0, 1)]
    assert sorted((event["payload"] for event in found), key=lambda one: one["since_last_audit"]) == payloads


async def test_each_project_with_unprotected_snapshots_emits_an_event(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    bare, safe = make_sandbox(snapshots=103), make_sandbox(snapshots=2, protected=2, first_image_id=7)
    save_project("audit-bare", bare)
    save_project("audit-safe", safe)
    since = prefect_now("UTC")
    await audit("audit-bare", "audit-safe")

    [event] = await eventually(lambda: events("unprotected", since), bool)
    assert event["resource"] == {
        "prefect.resource.id": "hetzner-cloud.project.audit-bare",
        "prefect.resource.name": "audit-bare",
        "hetzner-cloud.news": "yes",
    }
    payload = event["payload"]
    assert (payload["count"], payload["newly_unprotected"], len(payload["image_ids"])) == (103, 0, 100)
    assert payload["since_last_audit"] == 0
    assert set(payload["image_ids"]) <= set(bare.images)


async def test_after_a_protection_run_the_audit_finds_all_newly_protected(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-after", sandbox)
    await audit("audit-after")
    await run(protect_snapshots, projects=["audit-after"])
    done = await audit("audit-after")
    assert done.state.message == "6 of 6 snapshots protected in 1 project"
    assert findings_of(done) == {"protected": 2, "newly_protected": 4}


@pytest.mark.slow
async def test_ten_thousand_snapshots_keep_less_than_a_quarter_of_a_megabyte_a_night(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    save_project("audit-large", make_sandbox(snapshots=10_000, protected=9_000))
    done = await audit("audit-large")
    assert findings_of(done) == {"protected": 9_000, "unprotected": 1_000}
    stored = sum(len(str(artifact.data)) for artifact in await artifacts_of(done.record.id))
    assert stored < 250_000


async def test_unprotected_snapshots_are_published_then_emitted_then_only_what_the_next_audit_compares_with(
    save_project: SaveProject, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project("audit-order", sandbox)
    order: list[str | None] = []
    create_artifact = PrefectClient.create_artifact

    async def create(client: PrefectClient, artifact: ArtifactCreate) -> ArtifactRecord:
        order.append(artifact.key)
        return await create_artifact(client, artifact)

    monkeypatch.setattr(PrefectClient, "create_artifact", create)
    monkeypatch.setattr(audit_flow, "emit_unprotected", lambda project: order.append(project.project))
    await audit("audit-order")
    assert [key for key in order if key] == [
        "audited-snapshots-audit-order",
        "snapshot-audit-summary",
        "audit-order",
        "snapshot-audit-baseline-audit-order",
    ]


@pytest.mark.parametrize("flow", [audit_snapshot_protection, protect_snapshots], ids=["audit", "protect"])
async def test_a_report_that_could_not_be_published_is_in_the_final_state_s_message(
    flow: Any, save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project("unpublished", make_sandbox(snapshots=2, protected=2))

    async def fail(*_: object, **__: object) -> None:
        raise httpx.ConnectError("All connection attempts failed")

    monkeypatch.setattr(PrefectClient, "create_artifact", fail)
    done = await run(flow, projects=["unpublished"])
    assert done.state.is_completed()
    assert done.state.message
    assert done.state.message.endswith(
        ". The report could not be published: ConnectError: All connection attempts failed"
    )


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"label_selector": "a in"}, "label selector"),
        ({"grace_hours": -1}, "grace period"),
        ({"projects": ["unknown"]}, "'unknown'"),
    ],
)
async def test_a_bad_parameter_is_refused_before_any_request(
    save_project: SaveProject, sandbox: Sandbox, parameters: dict[str, Any], complaint: str
) -> None:
    save_project("audit-refuses", sandbox)
    done = await run(audit_snapshot_protection, **({"projects": ["audit-refuses"]} | parameters))
    assert done.state.is_failed()
    assert isinstance(done.result, InvalidArgumentError)
    assert complaint in (done.state.message or "")
    assert not sandbox.requests


async def test_a_baseline_that_cannot_be_read_fails_the_audit_once_and_is_reported_by_the_next(
    save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-restarted", sandbox)
    async with get_client() as client:
        await client.create_artifact(
            ArtifactCreate(
                key="snapshot-audit-baseline-audit-restarted", type="markdown", data="scribbled over"
            )
        )
    done = await audit("audit-restarted")
    assert done.state.is_failed()
    assert findings_of(done) == {"protected": 2, "unprotected": 4}
    complaint = "project 'audit-restarted': the baseline could not be read at "
    assert complaint in (done.state.message or "")
    assert "unreadable baseline" in await render_summary(done)
    await log_of(done.record.id, until=complaint)

    again = await audit("audit-restarted")
    assert again.state.is_completed()
    assert complaint in (again.state.message or "")


async def test_an_event_that_cannot_be_emitted_costs_only_itself(
    save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("event-bad", "event-good"):
        save_project(name, make_sandbox(snapshots=2))
    emitted: list[str] = []

    def emit(project: ProjectAudit) -> None:
        if project.project == "event-bad":
            raise RuntimeError("can't start new thread")
        emitted.append(project.project)

    monkeypatch.setattr(audit_flow, "emit_unprotected", emit)
    done = await audit("event-bad", "event-good")
    assert done.state.is_completed()
    assert emitted == ["event-good"]
    assert (done.state.message or "").endswith(
        "The events of 'event-bad' could not be emitted, so the next audit reports the same again: "
        "RuntimeError: can't start new thread"
    )
    async with get_client() as client:
        baselines = [f"snapshot-audit-baseline-{name}" for name in ("event-bad", "event-good")]
        assert list(await read_last_versions(client, baselines)) == baselines[1:]
