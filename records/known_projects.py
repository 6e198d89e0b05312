"""The record of the projects that audits have covered: an artifact, of which the last versions are merged."""

from collections.abc import Callable

from prefect.client.orchestration import get_client

from records.record_versions import add_version, read_last_versions, read_versions
from snapshot_protection.known_projects import KnownProjects, merge

KEY = "snapshot-audit-projects"
_VERSIONS = 10  # of runs at once, each writes one that does not know the others'; some may be unreadable


class RecordLostError(Exception):
    """Earlier runs have recorded something, and none of it can be read."""

    def __init__(self) -> None:
        super().__init__("its stored versions are unreadable")


async def load_known_projects() -> KnownProjects | None:
    """Load what earlier runs have recorded; None if they have recorded nothing.

    Raises:
        RecordLostError: They have, and none of it can be read.
    """
    async with get_client() as client:
        last = await read_last_versions(client, [KEY])
        versions = [*last.values(), *await read_versions(client, [KEY], limit=_VERSIONS)]
    readable = [record for version in versions if (record := KnownProjects.load(version.page))]
    if versions and not readable:
        raise RecordLostError
    return merge(readable) if readable else None


async def update_known_projects(change: Callable[[KnownProjects], KnownProjects]) -> None:
    """Record a change of what is recorded now; a lost record starts from scratch."""
    try:
        known = await load_known_projects() or KnownProjects()
    except RecordLostError:
        known = KnownProjects()
    page = change(known).dump()
    async with get_client() as client:
        await add_version(client, KEY, page, description="The projects that audits of all projects cover.")
