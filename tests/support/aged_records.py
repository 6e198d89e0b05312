"""What time does to records: Prefect's vacuum, and a server whose clock was wrong."""

import sqlite3
from contextlib import closing
from uuid import UUID

from prefect.client.orchestration import get_client

from playground.server import PrefectServer
from tests.support.flow_runs import artifacts_of


async def vacuum_run(flow_run_id: UUID) -> None:
    """Delete a flow run and its artifacts, as Prefect's vacuum does with old ones."""
    async with get_client() as client:
        for artifact in await artifacts_of(flow_run_id):
            await client.delete_artifact(artifact.id)
        await client.delete_flow_run(flow_run_id)


async def shift_creation(server: PrefectServer, key: str, *, days: int) -> None:
    """Move the time at which the version of a record that was written last was created."""
    database = sqlite3.connect(server.log.parent / "prefect.db", timeout=60)
    with closing(database), database:
        moved = database.execute(
            "UPDATE artifact SET created = strftime('%Y-%m-%d %H:%M:%f000', created, ?) "
            "WHERE id = (SELECT latest_id FROM artifact_collection WHERE key = ?)",
            (f"{days} days", key),
        )
        assert moved.rowcount == 1
