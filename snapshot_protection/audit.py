"""What an audit finds: pure functions from a listing, and what the last audit saw, to one finding each."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.models import Action, Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry

FindingName = Literal[
    "newly_unprotected",
    "missing_protected",
    "new_unprotected",
    "unprotected",
    "in_grace_period",
    "missing",
    "newly_protected",
    "new",
    "protected",
]
WORST_FIRST: tuple[FindingName, ...] = FindingName.__args__  # type: ignore[attr-defined]  # of Literal


class SnapshotFinding(BaseModel):
    """What an audit found out about one snapshot.

    Attributes:
        server: The name of the server it was made of, empty if that is not known.
        size: What is stored and paid for, GB; None if that is not known.
        protected: As it is now; of one that is gone, as it was last seen.
        evidence: The last change of its protection, in words; empty if none was found or looked for.
    """

    model_config = ConfigDict(frozen=True)

    image_id: int
    finding: FindingName
    protected: bool
    description: str = ""
    server: str = ""
    created: datetime | None = None
    size: float | None = None
    evidence: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether it is listed no more."""
        return self.finding in {"missing", "missing_protected"}

    @property
    def counts(self) -> bool:
        """Whether coverage is reckoned with it: it is there, and it is not in its time of grace."""
        return not self.is_gone and self.finding != "in_grace_period"

    @property
    def is_violation(self) -> bool:
        """Whether it should be protected and is not."""
        return self.counts and not self.protected

    @property
    def protection_removed(self) -> bool:
        """Whether somebody must have lifted its protection since the last audit."""
        return self.finding in {"newly_unprotected", "missing_protected"}


def find(
    images: Iterable[Image], before: AuditBaseline | None, *, now: datetime, grace_hours: float
) -> list[SnapshotFinding]:
    """Compare a listing with what the last audit saw; with no audit before, nothing is new and nothing gone.

    Returns:
        A finding for each snapshot listed, and for each that the last audit saw and is listed no more; the
        worst first, then by id.
    """
    snapshots = [image for image in images if image.is_snapshot]
    known = before.snapshots if before else {}
    found = [
        _finding(image, _judge(image, before, known.get(image.id), now=now, grace_hours=grace_hours))
        for image in snapshots
    ]
    found += _gone(known, {image.id for image in snapshots})
    return sorted(found, key=lambda finding: (WORST_FIRST.index(finding.finding), finding.image_id))


def remember(findings: Iterable[SnapshotFinding]) -> dict[int, BaselineEntry]:
    """Keep of the snapshots that are there what the next audit compares with."""
    return {
        finding.image_id: BaselineEntry(finding.protected, finding.description)
        for finding in findings
        if not finding.is_gone
    }


def with_evidence(findings: Sequence[SnapshotFinding], actions: Iterable[Action]) -> list[SnapshotFinding]:
    """Put the last change of protection beside each snapshot whose protection was lifted.

    Args:
        findings: Of one project.
        actions: Of the project, newest first.
    """
    last: dict[int | None, Action] = {}
    for action in actions:
        if action.command == "change_protection":
            last.setdefault(action.image_id, action)
    return [
        finding.model_copy(update={"evidence": _describe(last[finding.image_id])})
        if finding.protection_removed and finding.image_id in last
        else finding
        for finding in findings
    ]


def _judge(
    image: Image,
    before: AuditBaseline | None,
    known: BaselineEntry | None,
    *,
    now: datetime,
    grace_hours: float,
) -> FindingName:
    if image.is_protected:
        if known:
            return "protected" if known.protected else "newly_protected"
        return "new" if before else "protected"
    if known and known.protected:
        return "newly_unprotected"
    if image.created and now - image.created < timedelta(hours=grace_hours):
        return "in_grace_period"
    return "new_unprotected" if before and not known else "unprotected"


def _finding(image: Image, name: FindingName) -> SnapshotFinding:
    return SnapshotFinding(
        image_id=image.id,
        finding=name,
        protected=image.is_protected,
        description=printable(image.description),
        server=printable(image.created_from.name) if image.created_from else "",
        created=image.created,
        size=image.image_size,
    )


def _gone(known: Mapping[int, BaselineEntry], listed: set[int]) -> list[SnapshotFinding]:
    return [
        SnapshotFinding(
            image_id=image_id,
            finding="missing_protected" if last.protected else "missing",
            protected=last.protected,
            description=last.description,
        )
        for image_id, last in known.items()
        if image_id not in listed
    ]


def _describe(action: Action) -> str:
    started = f" of {action.started:%Y-%m-%d %H:%M:%S} UTC" if action.started else ""
    return f"action {action.id}{started}" + ("" if action.succeeded else f", {printable(action.status)}")
