"""The record of the projects that audits have covered: an artifact, of which the last versions are merged."""

from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.sorting import ArtifactSort
from prefect.runtime import flow_run

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
    wanted = ArtifactFilter.model_validate({"key": {"any_": [KEY]}})
    async with get_client() as client:
        versions = await client.read_artifacts(
            artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=_VERSIONS
        )
    readable = [record for version in versions if (record := KnownProjects.load(str(version.data)))]
    if versions and not readable:
        raise RecordLostError
    return merge(readable) if readable else None


async def update_known_projects(change: Callable[[KnownProjects], KnownProjects]) -> None:
    """Record a change of what is recorded now; a lost record starts from scratch."""
    try:
        known = await load_known_projects() or KnownProjects()
    except RecordLostError:
        known = KnownProjects()
    version = ArtifactCreate(
        key=KEY,
        type="markdown",
        data=change(known).dump(),
        description="The projects that audits of all projects cover.",
        flow_run_id=UUID(flow_run.id) if flow_run.id else None,
    )
    async with get_client() as client:  # Prefect's functions for artifacts are for runs only
        await client.create_artifact(version)
