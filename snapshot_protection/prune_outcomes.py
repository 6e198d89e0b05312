"""The outcome of a prune run for each snapshot, exactly one, with why it is kept or when it is due. Pure."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_plan import PruneLimits, select_due
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.retention import Retention, Verdict

PruneOutcomeName = Literal[
    "kept",
    "in_use",
    "quarantined",
    "would_prune",
    "queued",
    "pruned",
    "deleted",
    "failed",
    "reprotected",
    "left_unprotected",
]
_NEEDS_ATTENTION = frozenset({"failed", "reprotected", "left_unprotected"})


class PruneOutcome(BaseModel):
    """The outcome for one snapshot.

    Attributes:
        rule: The rule that governs it; empty if none does.
        reasons: Why it is kept; empty for a candidate.
        due: When its quarantine ends; None for what is not a candidate.
        server: The name of the server it was created from, empty if that is not known.
        size: The stored size, GB; None if that is not known.
        code: The code of its error, if there was one.
    """

    model_config = ConfigDict(frozen=True)

    project: str
    image_id: int
    outcome: PruneOutcomeName
    rule: str = ""
    reasons: tuple[str, ...] = ()
    due: datetime | None = None
    description: str = ""
    server: str = ""
    created: datetime | None = None
    size: float | None = None
    code: str = ""
    message: str = ""
    correlation_id: str = ""

    @property
    def needs_attention(self) -> bool:
        """Whether it makes the run fail."""
        return self.outcome in _NEEDS_ATTENTION

    def become(self, outcome: PruneOutcomeName, error: ErrorInfo | None = None) -> "PruneOutcome":
        """Return the outcome that replaces a planned one."""
        error = error or ErrorInfo()
        return self.model_copy(
            update={
                "outcome": outcome,
                "code": error.code,
                "message": error.message,
                "correlation_id": error.correlation_id,
            }
        )


def planned_outcomes(
    retention: Retention, quarantine: Quarantine, limits: PruneLimits, now: datetime
) -> tuple[PruneOutcome, ...]:
    """Determine what a dry run reports of each snapshot: kept, in quarantine, to be pruned, or queued."""
    due = [image.id for image in select_due(retention, quarantine, limits.quarantine_days, now)]
    planned: dict[int, PruneOutcomeName] = dict.fromkeys(due, "queued")
    planned |= dict.fromkeys(due[: limits.max_deletions], "would_prune")
    return tuple(
        _make_outcome(
            retention.project,
            verdict,
            kept_outcome(verdict) or planned.get(image_id, "quarantined"),
            quarantine.due_at(image_id, limits.quarantine_days),
        )
        for image_id, verdict in retention.verdicts.items()
    )


def kept_outcome(verdict: Verdict) -> PruneOutcomeName | None:
    """Return the outcome of a snapshot that is kept; None for a candidate.

    It is `in_use` if nothing else keeps it: it becomes a candidate when the last server of it is deleted.
    """
    if verdict.is_candidate:
        return None
    kinds = {reason.kind for reason in verdict.reasons}
    if "deleted" in kinds:
        return "deleted"
    return "in_use" if kinds == {"in_use"} else "kept"


def _make_outcome(
    project: str, verdict: Verdict, outcome: PruneOutcomeName, due: datetime | None
) -> PruneOutcome:
    image = verdict.snapshot if isinstance(verdict.snapshot, Image) else None
    return PruneOutcome(
        project=project,
        image_id=verdict.snapshot.id,
        outcome=outcome,
        rule=verdict.rule,
        reasons=tuple(str(reason) for reason in verdict.reasons),
        due=due if verdict.is_candidate else None,
        description=printable(image.description) if image else "",
        server=printable(image.created_from.name) if image and image.created_from else "",
        created=image.created if image else None,
        size=image.image_size if image else None,
    )
