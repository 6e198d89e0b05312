"""Versions of what runs record for later ones: artifacts of one key, never changed, only added."""

from collections.abc import Mapping, Sequence

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactFilter
from prefect.client.schemas.objects import Artifact, ArtifactCollection
from prefect.client.schemas.sorting import ArtifactCollectionSort, ArtifactSort

from snapshot_protection.audit_baseline_format import StoredPage


async def add_version(client: PrefectClient, key: str, page: str, *, description: str) -> None:
    """Add a version. It belongs to no flow run: with an old run, Prefect's vacuum deletes its artifacts."""
    await client.create_artifact(ArtifactCreate(key=key, type="markdown", data=page, description=description))


async def read_last_versions(client: PrefectClient, keys: Sequence[str]) -> Mapping[str, StoredPage]:
    """Read the version of each key that was written last, whatever the server's clock said then."""
    found = await client.read_latest_artifacts(
        artifact_filter=ArtifactCollectionFilter.model_validate({"key": {"any_": list(keys)}}),
        sort=ArtifactCollectionSort.KEY_ASC,
    )
    return {one.key: _page(str(one.latest_id), one) for one in found}


async def read_versions(
    client: PrefectClient, keys: Sequence[str], *, limit: int, offset: int = 0
) -> list[StoredPage]:
    """Read versions of these keys, the last one first by the server's clock, which may have been wrong."""
    found = await client.read_artifacts(
        artifact_filter=ArtifactFilter.model_validate({"key": {"any_": list(keys)}}),
        sort=ArtifactSort.CREATED_DESC,
        limit=limit,
        offset=offset,
    )
    return [_page(str(one.id), one) for one in found]


def _page(version: str, found: Artifact | ArtifactCollection) -> StoredPage:
    return StoredPage(version, str(found.data), found.description or "")
