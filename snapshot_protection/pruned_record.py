"""Which snapshots were pruned, for 90 days: an audit does not report them as missing. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from hetzner_cloud.models import MAX_ID
from hetzner_cloud.sanitize import printable
from snapshot_protection.embedding import embed, extract
from snapshot_protection.prune_plan import PlannedDeletion

KEPT_DAYS = 90
_NAME = "pruned-snapshots"
_MAX_BYTES = 16 * 1024 * 1024
_MAX_SNAPSHOTS = 50_000
_MAX_DESCRIPTION = 40

_Cut = Annotated[str, Field(max_length=_MAX_DESCRIPTION)]


class PrunedSnapshot(BaseModel):
    """A snapshot that a prune run deleted.

    Attributes:
        pruned: When it was seen to be deleted.
        flow_run_id: The run.
        rule: The rule that did not keep it; cut.
        description: Its description; cut.
        size: What was stored and billed, GB; None if that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_id: Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
    pruned: AwareDatetime
    flow_run_id: UUID
    rule: _Cut = ""
    description: _Cut = ""
    size: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None

    def __str__(self) -> str:
        """Describe it for a report."""
        rule = f" by rule '{self.rule}'" if self.rule else ""
        return f"{self.pruned:%Y-%m-%d %H:%M} UTC{rule}, flow run {self.flow_run_id}"

    @classmethod
    def of(cls, deletion: PlannedDeletion, *, pruned: datetime, flow_run_id: UUID) -> "PrunedSnapshot":
        """Make it of what was planned; strings are cut."""
        return cls(
            image_id=deletion.image_id,
            pruned=pruned,
            flow_run_id=flow_run_id,
            rule=printable(deletion.rule, max_length=_MAX_DESCRIPTION),
            description=printable(deletion.description, max_length=_MAX_DESCRIPTION),
            size=deletion.size,
        )


class PrunedRecord(BaseModel):
    """What was pruned in one project, as it is stored: each version has all that is still needed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str
    snapshots: Annotated[tuple[PrunedSnapshot, ...], Field(max_length=_MAX_SNAPSHOTS)]

    def dump(self) -> str:
        """Embed it into an HTML comment, which a rendered page does not show.

        Raises:
            ValueError: It is larger than what is ever read.
        """
        return embed(_NAME, self.model_dump_json(), max_bytes=_MAX_BYTES)

    @classmethod
    def load(cls, page: str) -> "PrunedRecord | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        stored = extract(_NAME, page, max_bytes=_MAX_BYTES)
        try:
            return cls.model_validate_json(stored) if stored is not None else None
        except ValidationError:
            return None


def merge_pruned(records: Iterable[PrunedRecord]) -> dict[int, PrunedSnapshot]:
    """Return all that any version knows, by id; of one that two versions have, what was recorded last."""
    found = (one for record in records for one in record.snapshots)
    return {one.image_id: one for one in sorted(found, key=lambda one: (one.pruned, one.flow_run_id))}


def next_pruned_record(
    project: str, known: Mapping[int, PrunedSnapshot], pruned: Iterable[PrunedSnapshot], now: datetime
) -> PrunedRecord:
    """Make the next version: what this run pruned, and what earlier ones pruned within the last 90 days."""
    snapshots = {**known, **{one.image_id: one for one in pruned}}
    needed = [one for one in snapshots.values() if now - one.pruned <= timedelta(days=KEPT_DAYS)]
    newest = sorted(needed, key=lambda one: (one.pruned, one.image_id))[-_MAX_SNAPSHOTS:]
    return PrunedRecord(project=project, snapshots=tuple(newest))
