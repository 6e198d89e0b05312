"""A project whose credentials block is deleted: no audit of all projects is silent about it."""

from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate

import flows._audited_projects
import records.known_projects
from blocks.credentials import HetznerCloudCredentials
from playground.server import PrefectServer
from records.known_projects import KEY, load_known_projects, update_known_projects
from sandbox import Sandbox
from tests.support.aged_records import shift_creation, vacuum_run
from tests.support.audit_runs import audit, report_of
from tests.support.fixtures import TOKEN, SaveProject
from tests.support.flow_runs import Run, artifacts_of

pytestmark = pytest.mark.usefixtures("no_known_projects")
NOTHING_TO_COMPARE = "first audit of all projects (or their record is lost)"


@pytest.fixture
def two_projects(save_project: SaveProject, sandbox: Sandbox) -> tuple[str, str]:
    save_project("seen-kept", sandbox)
    save_project("seen-removed", sandbox)
    return "seen-kept", "seen-removed"


def message_of(done: Run) -> str:
    assert done.state.message
    return done.state.message


async def delete(name: str) -> None:
    await HetznerCloudCredentials.adelete(name)


async def write_unreadable_version() -> None:
    async with get_client() as client:
        await client.create_artifact(ArtifactCreate(key=KEY, type="markdown", data="by another program"))


@pytest.mark.slow
async def test_a_project_whose_block_is_deleted_fails_each_audit_until_its_removal_is_confirmed(
    two_projects: tuple[str, str], save_project: SaveProject, sandbox: Sandbox
) -> None:
    _, removed = two_projects
    first = await audit()
    assert first.state.is_completed()
    assert NOTHING_TO_COMPARE in message_of(first)
    await delete(removed)
    for selector in ("", "env=prod"):
        done = await audit(label_selector=selector)
        assert done.state.is_failed()
        assert f"project '{removed}' could not be read: its credentials block is no longer saved" in (
            message_of(done)
        )
        assert f"hetzner-snapshots credentials delete {removed} (no_longer_saved)" in message_of(done)
        assert NOTHING_TO_COMPARE not in message_of(done)
        [summary] = [one for one in await artifacts_of(done.record.id) if one.key == "snapshot-audit-summary"]
        assert str(summary.data).startswith("## 🔴")
    await update_known_projects(lambda known: known.with_removed(removed, known.seen[removed]))
    assert (await audit()).state.is_completed()
    save_project(removed, sandbox)
    assert (await audit()).state.is_completed()
    await delete(removed)
    assert (await audit()).state.is_failed()


async def test_all_projects_are_named_when_no_block_is_left(
    two_projects: tuple[str, str], save_project: SaveProject, sandbox: Sandbox
) -> None:
    await audit()
    for name in two_projects:
        await delete(name)
    done = await audit()
    assert done.state.is_failed()
    assert message_of(done).startswith(
        "2 projects could not be read; project 'seen-kept' could not be read: "
    )
    assert "project 'seen-removed' could not be read: " in message_of(done)


async def test_an_audit_of_named_projects_neither_expects_others_nor_records_its_own(
    two_projects: tuple[str, str],
) -> None:
    kept, _ = two_projects
    done = await audit(kept, "seen-never")
    assert done.state.is_failed()
    assert "2 of 6 snapshots protected in 2 projects" in message_of(done)
    assert "project 'seen-never' could not be read: no saved credentials block has this name" in message_of(
        done
    )
    assert NOTHING_TO_COMPARE not in message_of(done)
    assert await load_known_projects() is None


async def test_a_name_that_no_block_can_have_is_reported_too(two_projects: tuple[str, str]) -> None:
    done = await audit("seen-kept", "Not a/name")
    assert "project 'Not a/name' could not be read" in message_of(done)
    assert "could not be published" not in message_of(done)


async def test_earlier_versions_of_the_record_are_read_where_the_newest_is_unreadable(
    two_projects: tuple[str, str], save_project: SaveProject, sandbox: Sandbox
) -> None:
    await audit()
    await write_unreadable_version()
    await delete("seen-removed")
    done = await audit()
    assert "project 'seen-removed' could not be read" in message_of(done)


async def test_a_missing_project_is_noticed_after_the_run_that_recorded_it_was_deleted(
    two_projects: tuple[str, str],
) -> None:
    await vacuum_run((await audit()).record.id)
    await delete("seen-removed")
    done = await audit()
    assert "project 'seen-removed' could not be read" in message_of(done)


async def test_a_removal_is_confirmed_for_the_next_audit_when_the_server_s_clock_was_ahead(
    two_projects: tuple[str, str], engine: PrefectServer
) -> None:
    await audit()
    for _ in range(10):  # as many versions as are read
        await update_known_projects(lambda known: known)
        await shift_creation(engine, KEY, days=30)
    await update_known_projects(lambda known: known.with_removed("seen-removed", known.seen["seen-removed"]))
    await delete("seen-removed")
    assert (await audit()).state.is_completed()


async def test_an_audit_that_can_read_no_version_of_the_record_fails_once(
    two_projects: tuple[str, str],
) -> None:
    await write_unreadable_version()
    done = await audit()
    assert done.state.is_failed()
    assert "the earlier list of projects cannot be read: its stored versions are unreadable" in message_of(
        done
    )
    assert "Check that a credentials block is saved for each project." in message_of(done)
    [summary] = [one for one in await artifacts_of(done.record.id) if one.key == "snapshot-audit-summary"]
    assert str(summary.data).startswith("## 🔴")
    assert "- 🔴 the earlier list of projects cannot be read" in str(summary.data)
    assert (await audit()).state.is_completed()


async def test_two_audits_at_once_lose_no_name_whichever_writes_last(
    two_projects: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one reads before the first one writes, and knows nothing of what that saw."""
    await audit()
    stale = await load_known_projects()

    async def load_stale() -> Any:
        return stale

    await update_known_projects(lambda known: known.with_seen(["seen-by-another"], known.seen["seen-kept"]))
    monkeypatch.setattr(records.known_projects, "load_known_projects", load_stale)
    monkeypatch.setattr(flows._audited_projects, "load_known_projects", load_stale)
    await audit()
    monkeypatch.undo()
    recorded = await load_known_projects()
    assert recorded
    assert set(recorded.expected) == {*two_projects, "seen-by-another"}


async def test_what_is_recorded_is_not_lost_when_it_cannot_be_read(
    two_projects: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await audit()

    async def fail() -> None:
        raise ConnectionError("no server")

    monkeypatch.setattr(records.known_projects, "load_known_projects", fail)
    monkeypatch.setattr(flows._audited_projects, "load_known_projects", fail)
    done = await audit()
    monkeypatch.undo()
    assert done.state.is_failed()
    assert "the earlier list of projects cannot be read: ConnectionError: no server" in message_of(done)
    assert "the list of projects could not be recorded: ConnectionError: no server" in message_of(done)
    recorded = await load_known_projects()
    assert recorded
    assert set(recorded.expected) == set(two_projects)


async def test_audits_of_different_tokens_of_the_environment_are_not_compared(
    sandbox: Sandbox, save_project: SaveProject, make_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_sandbox(snapshots=3, protected=3, first_image_id=500_000_001)
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    for one in (sandbox, other, sandbox):
        monkeypatch.setenv("HCLOUD_ENDPOINT", one.endpoint)
        done = await audit("environment")
        assert done.state.is_completed()
        assert "gone" not in message_of(done)
        [project] = report_of(done).projects
        assert project.previous is None
        artifacts = await artifacts_of(done.record.id)
        assert {one.key for one in artifacts} == {"snapshot-audit-summary", "audited-snapshots-environment"}
        [summary] = [one for one in artifacts if one.key == "snapshot-audit-summary"]
        assert "| no comparison |" in str(summary.data)


async def test_the_environment_is_no_known_project(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.setenv("HCLOUD_ENDPOINT", sandbox.endpoint)
    assert (await audit()).state.is_completed()
    recorded = await load_known_projects()
    assert recorded
    assert recorded.seen == {}
