"""Exemptions as earlier runs have stored them, and versions that cannot be read."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate

from records.exemptions import latest_end, read_exemptions
from snapshot_protection.exemptions import Exemption, ExemptionRecord


async def load_exemptions(project: str, *, expired_days: float = 0) -> dict[int, Exemption]:
    """Load the exemptions of a project, as runs do."""
    now = datetime.now(UTC)
    stored = await read_exemptions([project], now=now, expired_days=expired_days)
    return stored.of(project, latest=latest_end(now))


async def store_exemptions(project: str, *image_ids: int, hours: float = 24) -> None:
    """Store what a run that unprotects stores before it removes any protection."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    exemptions = (
        Exemption(
            image_id=one, until=until, reason="to delete it", approved_by="on call", flow_run_id=uuid4()
        )
        for one in image_ids
    )
    await _store(project, ExemptionRecord(project=project, exemptions=tuple(exemptions)).dump())


async def store_unreadable_exemptions(project: str) -> None:
    """Store a version that is no record."""
    await _store(project, "no record")


async def _store(project: str, data: str) -> None:
    """Store it without a run, whose log would outlive the servers of some tests."""
    created = ArtifactCreate(type="markdown", key=f"snapshot-exemptions-{project}", data=data)
    async with get_client() as client:
        await client.create_artifact(created)
