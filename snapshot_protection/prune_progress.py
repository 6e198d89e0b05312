"""What a run that prunes is doing: written before each change, so that it outlives a killed run. Pure."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from snapshot_protection.embedding import embed, extract
from snapshot_protection.prune_plan import PlannedDeletion

_NAME = "prune-progress"


class PruneProgress(BaseModel):
    """The progress of one flow run in one project.

    Attributes:
        endpoint: Where the snapshots are, normalized; with it, an image id says which snapshot one is.
        in_progress: What it may have left unprotected, or deleted; None between two snapshots.
        began: When it began with that; None if nothing is in progress.
        beside: The newest snapshots of the project beside it, a few: where none of them exists, the project
            is another one.
        finished: What was done before, a line for each snapshot.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str
    endpoint: str
    flow_run_id: UUID
    in_progress: PlannedDeletion | None = None
    began: AwareDatetime | None = None
    beside: tuple[int, ...] = ()
    finished: tuple[str, ...] = ()

    def dump(self) -> str:
        """Embed it into an HTML comment, which a rendered page does not show."""
        return embed(_NAME, self.model_dump_json())

    @classmethod
    def load(cls, page: str) -> "PruneProgress | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        stored = extract(_NAME, page)
        try:
            return cls.model_validate_json(stored) if stored is not None else None
        except ValidationError:
            return None

    def begin(self, planned: PlannedDeletion, now: datetime, beside: Iterable[int] = ()) -> "PruneProgress":
        """Return what is recorded right before the first change of a snapshot."""
        return self.model_copy(update={"in_progress": planned, "began": now, "beside": tuple(beside)})

    def finish(self, description: str) -> "PruneProgress":
        """Return what is recorded when nothing of the snapshot is pending."""
        return self.model_copy(
            update={
                "in_progress": None,
                "began": None,
                "beside": (),
                "finished": (*self.finished, description),
            }
        )
