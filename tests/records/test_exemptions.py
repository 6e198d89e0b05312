"""The exemptions that runs store: none is lost, and one that cannot be read is never taken for none."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.artifacts import Artifact, acreate_markdown_artifact

from playground.server import PrefectServer
from records.exemptions import UnreadableExemptionsError, save_exemptions
from snapshot_protection.exemptions import Exemption, ExemptionRecord
from tests.support.stored_exemptions import load_exemptions


def _record(
    project: str, *image_ids: int, hours: float = 24, reason: str = "to delete it"
) -> ExemptionRecord:
    until = datetime.now(UTC) + timedelta(hours=hours)
    exemptions = (
        Exemption(image_id=one, until=until, reason=reason, approved_by="on call", flow_run_id=uuid4())
        for one in image_ids
    )
    return ExemptionRecord(project=project, exemptions=tuple(exemptions))


@flow(retries=0, retry_delay_seconds=0)
async def _save(record: ExemptionRecord) -> None:
    await save_exemptions(record)


@flow(retries=0, retry_delay_seconds=0)
async def _publish(data: str, key: str) -> UUID:
    return await acreate_markdown_artifact(data, key=key)


@pytest.fixture
def project(engine: PrefectServer) -> str:
    return f"exemptions-{uuid4().hex[:8]}"


async def test_the_exemptions_of_all_runs_are_merged(project: str) -> None:
    assert await load_exemptions(project) == {}
    await _save(_record(project, 1, 2))
    await _save(_record(project, 2, 3, hours=48))
    await _save(_record(f"{project}-2", 4))
    found = await load_exemptions(project)
    assert set(found) == {1, 2, 3}
    assert found[2].until > found[1].until


async def test_an_exemption_that_expired_is_still_found(project: str) -> None:
    await _save(_record(project, 1, hours=-1))
    assert set(await load_exemptions(project)) == {1}


async def test_an_exemption_for_longer_than_any_is_approved_for_is_none(project: str) -> None:
    await _save(_record(project, 1, hours=24 * 365))
    assert await load_exemptions(project, expired_days=30) == {}


async def test_more_versions_than_a_page_are_all_read(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("records.exemptions._PAGE", 2)
    for image_id in range(1, 6):
        await _save(_record(project, image_id))
    assert set(await load_exemptions(project)) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("data", ["", "nothing here", "<!-- snapshot-exemptions eJwDAAAAAAE= -->"])
async def test_a_version_that_cannot_be_read_is_an_error_that_names_it(project: str, data: str) -> None:
    await _save(_record(project, 1))
    artifact_id = await _publish(data, key=f"snapshot-exemptions-{project}")
    with pytest.raises(UnreadableExemptionsError, match=str(artifact_id)):
        await load_exemptions(project)


async def test_a_version_of_another_project_is_an_error(project: str) -> None:
    data = _record("another", 1).dump()
    await _publish(data, key=f"snapshot-exemptions-{project}")
    with pytest.raises(UnreadableExemptionsError):
        await load_exemptions(project)


async def test_a_reason_is_shown_as_plain_text(project: str) -> None:
    await _save(_record(project, 1, reason="![x](http://x.example/) <img src=x> --> [a](b)"))
    stored = await Artifact.aget(f"snapshot-exemptions-{project}")
    assert stored
    page = str(stored.data)
    assert "<img" not in page
    assert "![x](" not in page
    assert set(await load_exemptions(project)) == {1}
