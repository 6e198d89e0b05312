"""What runs that prune were doing: one artifact for each flow run and project, updated by that run only."""

from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.sorting import ArtifactSort

from snapshot_protection.markdown import escape_markdown
from snapshot_protection.prune_progress import PruneProgress

_MAX_READ = 100  # runs: what an earlier one left, each run since has protected


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
                    description=f"What the run prunes in {progress.project}.",
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
        """Delete the record of a run that is gone, once it is known what became of its snapshot.

        If that run goes on after all, it cannot record its next change, and does not make it.
        """
        async with get_client() as client:
            await client.delete_artifact(self.artifact_id)


async def load_interrupted(project: str) -> list[ProgressRecord]:
    """Load the records of earlier runs that have something in progress, the newest first.

    Only for a run that holds the project's lock, or the run in progress may be among them.
    """
    wanted = ArtifactFilter.model_validate({"key": {"any_": [progress_key(project)]}})
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=_MAX_READ
        )
    loaded = [(artifact.id, PruneProgress.load(str(artifact.data))) for artifact in found]
    return [
        ProgressRecord(artifact_id, progress)
        for artifact_id, progress in loaded
        if progress and progress.project == project and progress.in_progress
    ]


def progress_key(project: str) -> str:
    """Make the key of the artifacts of all runs."""
    return f"snapshot-prune-progress-{project}"


def _render(progress: PruneProgress) -> str:
    now = str(progress.in_progress) if progress.in_progress else "nothing"
    lines = [
        f"In progress: {escape_markdown(now)}.",
        "",
        *(f"* {escape_markdown(one)}" for one in progress.finished),
    ]
    return "\n".join([*lines, "", progress.dump()]) + "\n"
