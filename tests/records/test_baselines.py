"""Where baselines are stored, which version is taken, and what becomes of one that cannot be stored."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import Artifact

import reporting.artifacts
from flows.audit_snapshot_protection import audit_snapshot_protection
from playground.server import PrefectServer
from records.baselines import BaselineStore
from sandbox import Sandbox
from snapshot_protection.audit_baseline_format import StoredPage
from snapshot_protection.project_audit import ProjectAudit
from tests.support.aged_records import shift_creation, vacuum_run
from tests.support.audit_reports import finding
from tests.support.audit_runs import audit, report_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, log_of, run
from tests.support.stored_baselines import stored_by_0_4_0

pytestmark = pytest.mark.filterwarnings("ignore:Artifact creation outside of a flow or task run")

NOW = datetime.now(UTC)


def audited(name: str, *protected: int, **fields: Any) -> ProjectAudit:
    findings = [finding(image_id) for image_id in protected]
    return ProjectAudit(project=name, findings=findings, **({"listed": NOW} | fields))


async def store(key: str, page: StoredPage, **fields: Any) -> None:
    kept = {"key": key, "type": "markdown", "data": page.page, "description": page.description}
    async with get_client() as client:
        await client.create_artifact(ArtifactCreate.model_validate(kept | fields))


@pytest.mark.usefixtures("engine")
async def test_two_overlapping_audits_both_count_for_the_next_one_whichever_stored_first() -> None:
    baselines = BaselineStore("")
    early = audited("overlapped", 1, 2, listed=NOW - timedelta(minutes=1))
    await baselines.save([audited("overlapped", 1)])
    await baselines.save([early])  # the slower one: it is older and written later
    history = await baselines.load("overlapped")
    assert history.baseline
    assert history.baseline.listed == NOW
    assert set(history.baseline.snapshots) == {1, 2}
    assert len(history.versions) == 2
    await baselines.save([audited("overlapped", 1, versions=history.versions)])
    known = (await baselines.load("overlapped")).baseline
    assert known
    assert set(known.snapshots) == {1}


@pytest.mark.usefixtures("engine")
async def test_more_overlapping_audits_than_are_read_at_once_all_count() -> None:
    baselines = BaselineStore("")
    for number in range(1, 13):
        await baselines.save([audited("overlapped-often", number)])
    known = (await baselines.load("overlapped-often")).baseline
    assert known
    assert set(known.snapshots) == set(range(1, 13))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("selector", "key"),
    [("", "snapshot-audit-memory-upgraded"), ("env=prod", "snapshot-audit-memory-upgraded-7c650aff")],
)
async def test_what_0_4_0_stored_is_read_until_something_newer_is_stored(selector: str, key: str) -> None:
    await store(key, stored_by_0_4_0("", {1: True, 2: False}, NOW, project="upgraded"))
    baselines = BaselineStore(selector)
    history = await baselines.load("upgraded")
    assert history.baseline
    assert {image_id: one.state for image_id, one in history.baseline.snapshots.items()} == {
        1: "protected",
        2: "unprotected",
    }
    await baselines.save([audited("upgraded", 3, versions=history.versions)])
    known = (await baselines.load("upgraded")).baseline
    assert known
    assert set(known.snapshots) == {3}


@pytest.mark.usefixtures("engine")
async def test_what_0_4_0_stores_after_a_downgrade_is_known_to_the_next_audit_and_added_once() -> None:
    baselines, key = BaselineStore(""), "snapshot-audit-memory-downgraded"
    await baselines.save([audited("downgraded", 1, listed=NOW - timedelta(days=2))])
    await store(key, stored_by_0_4_0("", {1: True, 2: True}, NOW - timedelta(days=1), project="downgraded"))
    history = await baselines.load("downgraded")
    assert history.baseline
    assert set(history.baseline.snapshots) == {1, 2}
    for _ in range(7):  # more than are read at once
        versions = (await baselines.load("downgraded")).versions
        await baselines.save([audited("downgraded", 3, versions=versions)])
    known = (await baselines.load("downgraded")).baseline
    assert known
    assert set(known.snapshots) == {3}


@pytest.mark.parametrize("days", [30, -30])
async def test_the_version_written_last_counts_when_the_server_s_clock_was_wrong(
    engine: PrefectServer, days: int
) -> None:
    baselines, name = BaselineStore(""), f"clock{days}"
    for number in range(1, 8):
        versions = (await baselines.load(name)).versions
        await baselines.save([audited(name, number, versions=versions)])
        if days > 0 or number == 7:  # ahead until it is corrected, or behind for one audit
            await shift_creation(engine, f"snapshot-audit-baseline-{name}", days=days)
    if days > 0:
        versions = (await baselines.load(name)).versions
        await baselines.save([audited(name, 8, versions=versions)])
    known = (await baselines.load(name)).baseline
    assert known
    assert set(known.snapshots) == {8 if days > 0 else 7}


async def test_what_an_audit_knows_outlives_its_flow_run(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=2, protected=2)
    save_project("audit-vacuumed", sandbox)
    await vacuum_run((await audit("audit-vacuumed")).record.id)
    sandbox.delete_image(min(sandbox.images))
    [project] = report_of(await audit("audit-vacuumed")).projects
    assert [one.finding for one in project.findings] == ["missing_protected", "protected"]


@pytest.mark.usefixtures("engine")
async def test_a_version_of_another_project_type_or_format_is_passed_over_for_an_earlier_one() -> None:
    baselines = BaselineStore("")
    key = "snapshot-audit-baseline-passed"
    await baselines.save([audited("passed", 1)])
    await store(key, stored_by_0_4_0("", {2: True}, NOW, project="another"))
    await store(key, StoredPage("", "scribbled over", ""))
    await store(key, StoredPage("", "", ""), type="table", data=[{"a": 1}])
    history = await baselines.load("passed")
    assert history.baseline
    assert set(history.baseline.snapshots) == {1}
    assert (history.unreadable, history.is_lost) == (3, False)


async def test_a_version_that_is_passed_over_is_noted_once(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=1, protected=1)
    save_project("audit-noted", sandbox)
    await audit("audit-noted")
    await store("snapshot-audit-baseline-audit-noted", StoredPage("", "scribbled over", ""))
    sandbox.delete_image(min(sandbox.images))
    [noted], [silent] = [report_of(await audit("audit-noted")).projects for _ in range(2)]
    assert noted.note.startswith("1 version of the baseline could not be read; compared with that of 20")
    assert [one.finding for one in noted.findings] == ["missing_protected"]
    assert silent.note == ""


@pytest.mark.usefixtures("engine")
async def test_many_baselines_are_stored_fifty_at_once_and_one_that_fails_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_flight, peak, stored = 0, 0, []

    async def create(_: PrefectClient, artifact: ArtifactCreate) -> Artifact:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        if artifact.key == "snapshot-audit-baseline-p7":
            raise ConnectionError("no server")
        stored.append(artifact.key)
        return Artifact(key=artifact.key)

    monkeypatch.setattr(PrefectClient, "create_artifact", create)
    failed = await BaselineStore("").save(audited(f"p{number}", 1) for number in range(300))
    assert failed == {"p7": "ConnectionError: no server"}
    assert len(stored) == 299
    assert 1 < peak <= 50


async def test_what_could_not_be_stored_is_named_in_the_final_message_and_found_again(
    save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("audit-stored", "audit-unstored")):
        save_project(name, make_sandbox(snapshots=2, protected=2, first_image_id=1 + 10 * number))
    create_artifact = PrefectClient.create_artifact

    async def create(client: PrefectClient, artifact: ArtifactCreate) -> Artifact:
        if artifact.key in {"snapshot-audit-baseline-audit-unstored", "audited-snapshots-audit-stored"}:
            raise ConnectionError("no server")
        return await create_artifact(client, artifact)

    monkeypatch.setattr(PrefectClient, "create_artifact", create)
    done = await audit("audit-stored", "audit-unstored")
    assert done.state.is_completed()
    assert done.state.message == (
        "4 of 4 snapshots protected in 2 projects. "
        "The tables of 'audit-stored' could not be published: ConnectionError: no server. "
        "The baselines of 'audit-unstored' could not be stored, so the next audit reports the same again: "
        "ConnectionError: no server"
    )
    assert [one.key for one in await artifacts_of(done.record.id)].count("snapshot-audit-summary") == 1
    await log_of(done.record.id, until="The baselines of 'audit-unstored'")


async def test_an_audit_saves_no_baseline_when_its_summary_cannot_be_published(
    save_project: SaveProject, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project("audit-unpublished", sandbox)

    async def reject(*_: Any, **__: Any) -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(reporting.artifacts, "acreate_markdown_artifact", reject)
    done = await run(audit_snapshot_protection, projects=["audit-unpublished"])
    assert done.state.is_completed()
    await log_of(done.record.id, until="The report could not be published: ConnectionError: no server")
    assert [one.key for one in await artifacts_of(done.record.id)] == ["audited-snapshots-audit-unpublished"]


async def test_no_token_of_a_project_has_a_new_baseline_when_its_findings_could_not_be_published(
    save_project: SaveProject, make_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_sandbox(snapshots=2, protected=2)
    for name in ("audit-twice-a", "audit-twice-b"):
        save_project(name, sandbox)
    await audit("audit-twice-a", "audit-twice-b")
    sandbox.set_protection(min(sandbox.images), delete=False)
    create_artifact = PrefectClient.create_artifact

    async def create(client: PrefectClient, artifact: ArtifactCreate) -> Artifact:
        if artifact.key == "audited-snapshots-audit-twice-a":
            raise ConnectionError("no server")
        return await create_artifact(client, artifact)

    monkeypatch.setattr(PrefectClient, "create_artifact", create)
    await audit("audit-twice-a", "audit-twice-b")
    monkeypatch.undo()
    assert report_of(await audit("audit-twice-a", "audit-twice-b")).new_unprotected == 1
