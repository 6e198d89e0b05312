"""What runs that prune were doing: one artifact for each flow run and project, updated by that run only."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactFilter
from prefect.client.schemas.objects import Artifact, ArtifactCollection
from prefect.client.schemas.sorting import ArtifactCollectionSort, ArtifactSort

from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.prune_progress import PruneProgress

_KEY = "snapshot-prune-progress-"
_PAGE = 200
_MAX_READ = 100  # runs: what an earlier one left, each run since has protected


class UnreadableProgressError(HetznerCloudError):
    """What a prune run had in progress cannot be read, so what is about to change is unknown."""


@dataclass
class ProgressRecord:
    """The artifact of this run; it is stored before each change, and the change is not made if that fails."""

    artifact_id: UUID
    progress: PruneProgress

    @classmethod
    async def create(cls, progress: PruneProgress) -> "ProgressRecord":
        """Store the first version."""
        async with get_client() as client:
            created = await client.create_artifact(
                ArtifactCreate(
                    key=progress_key(progress.project),
                    type="markdown",
                    data=_render(progress),
                    description=f"The progress of the prune run in {progress.project}.",
                    flow_run_id=progress.flow_run_id,
                )
            )
        return cls(created.id, progress)

    async def store(self, progress: PruneProgress) -> None:
        """Replace what is stored."""
        async with get_client() as client:
            await client.update_artifact(self.artifact_id, ArtifactUpdate(data=_render(progress)))
        self.progress = progress

    async def settle(self) -> None:
        """Delete the record of a run that is gone, once the outcome of its snapshot is known.

        If that run goes on after all, it cannot record its next change, and does not make it.
        """
        async with get_client() as client:
            await client.delete_artifact(self.artifact_id)


async def load_interrupted(project: str) -> list[ProgressRecord]:
    """Load the records of earlier runs that have something in progress, the newest first.

    Only for a run that holds the project's lock, or the run in progress may be among them.

    Raises:
        UnreadableProgressError: One of them is not readable.
    """
    wanted = ArtifactFilter.model_validate({"key": {"any_": [progress_key(project)]}})
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=_MAX_READ
        )
    records = [ProgressRecord(artifact.id, _parse(project, artifact.id, artifact)) for artifact in found]
    return [record for record in records if record.progress.in_progress]


async def read_last_records() -> Mapping[str, ArtifactCollection]:
    """Read the last record of each name, also of one whose credentials block is gone, by its key.

    A run settles what earlier ones left before it makes its own record, so only the last one of a name can
    have anything in progress.
    """
    wanted = ArtifactCollectionFilter.model_validate({"key": {"like_": f"{_KEY}%"}})
    found: list[ArtifactCollection] = []
    async with get_client() as client:
        while True:
            page = await client.read_latest_artifacts(
                artifact_filter=wanted,
                sort=ArtifactCollectionSort.KEY_ASC,
                limit=_PAGE,
                offset=len(found),
            )
            found += page
            if len(page) < _PAGE:
                return {one.key: one for one in found}


def find_in_progress(project: str, records: Mapping[str, ArtifactCollection]) -> list[PruneProgress]:
    """Find what is in progress under any name, for a run in a project that may be the same one.

    A record of another name that is not readable is left out: it is an error of the project of that name.

    Raises:
        UnreadableProgressError: That of this project is not readable.
    """
    key = progress_key(project)
    own = [_parse(project, one.latest_id, one) for one in records.values() if one.key == key]
    others = [PruneProgress.load(str(one.data)) for one in records.values() if one.key != key]
    return [progress for progress in (*own, *others) if progress and progress.in_progress]


def progress_key(project: str) -> str:
    """Make the key of the artifacts of all runs."""
    return f"{_KEY}{project}"


def _parse(project: str, artifact_id: UUID, found: Artifact | ArtifactCollection) -> PruneProgress:
    progress = PruneProgress.load(str(found.data))
    if progress is None or progress.project != project:
        raise UnreadableProgressError(
            f"The record {progress_key(project)} of a prune run cannot be read ({artifact_id}), so which "
            "snapshot it may have left unprotected is unknown. Verify that all snapshots are protected, "
            "then delete the record: "
            f"`prefect artifact delete --id {artifact_id}`",
            "unreadable_progress",
        )
    return progress


def _render(progress: PruneProgress) -> str:
    now = str(progress.in_progress) if progress.in_progress else "nothing"
    lines = [
        f"In progress: {escape_markdown(now)}.",
        "",
        *(f"* {escape_markdown(one)}" for one in progress.finished),
    ]
    return "\n".join([*lines, "", progress.dump()]) + "\n"
