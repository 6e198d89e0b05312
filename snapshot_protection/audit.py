"""An audit's findings, one for each snapshot: pure functions of a listing and the last audit's baseline."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.models import Action, Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry
from snapshot_protection.unreadable import ListedSnapshot, UnreadableSnapshot

FindingName = Literal[
    "unreadable",
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
_MOST_SEVERE_FIRST: tuple[FindingName, ...] = FindingName.__args__  # type: ignore[attr-defined]  # of Literal


class SnapshotFinding(BaseModel):
    """The finding for one snapshot.

    Attributes:
        protected: Its protection now; of a missing one, when it was last seen.
        server: The name of the server it was created from, empty if that is not known.
        size: The stored size, GB; None if that is not known.
        evidence: The action that last changed its protection; empty if none was found or searched for.
        reason: Why it could not be read.
        last_known: Of one that could not be read: what the baseline has of it, and keeps.
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
    reason: str = ""
    last_known: BaselineEntry | None = None

    @property
    def is_missing(self) -> bool:
        """Whether it was there at the last audit and is no longer listed."""
        return self.finding in {"missing", "missing_protected"}

    @property
    def is_counted(self) -> bool:
        """Whether it is part of the coverage: it is listed, and not in its grace period."""
        return not self.is_missing and self.finding != "in_grace_period"

    @property
    def is_violation(self) -> bool:
        """Whether it should be protected and is not; of one that could not be read, that is unknown."""
        return self.is_counted and not self.protected and not self.is_unreadable

    @property
    def is_unreadable(self) -> bool:
        """Whether it could not be read; it counts, and not as protected."""
        return self.finding == "unreadable"

    @property
    def protection_removed(self) -> bool:
        """Whether it lost its protection, or was deleted in spite of it, since the last audit."""
        return self.finding in {"newly_unprotected", "missing_protected"}


def compare_with_baseline(
    listing: Iterable[ListedSnapshot],
    before: AuditBaseline | None,
    *,
    now: datetime,
    grace_hours: float,
    has_entries_without_id: bool = False,
) -> list[SnapshotFinding]:
    """Compare a listing with the last audit's baseline; without one, nothing is new and nothing is missing.

    If the listing also has entries without a valid id, what is not listed may be one of them: unreadable.

    Returns:
        A finding for each listed snapshot, and for each of the baseline that is not listed; the most severe
        first, then by id.
    """
    snapshots = [one for one in listing if one.is_snapshot]
    known = before.snapshots if before else {}
    found = [
        _unreadable(one.id, one.error.message, known.get(one.id))
        if isinstance(one, UnreadableSnapshot)
        else _finding(one, _classify(one, before, known.get(one.id), now=now, grace_hours=grace_hours))
        for one in snapshots
    ]
    missing = _missing(known, {one.id for one in snapshots})
    if has_entries_without_id:
        reason = "an entry without a valid id may be it"
        missing = [_unreadable(one.image_id, reason, known[one.image_id]) for one in missing]
    found += missing
    return sorted(found, key=lambda finding: (_MOST_SEVERE_FIRST.index(finding.finding), finding.image_id))


def baseline_entries(findings: Iterable[SnapshotFinding]) -> dict[int, BaselineEntry]:
    """Make the entries of the next audit's baseline: the snapshots that exist."""
    return {
        finding.image_id: finding.last_known or BaselineEntry(finding.protected, finding.description)
        for finding in findings
        if finding.last_known or not (finding.is_missing or finding.is_unreadable)
    }


def with_evidence(findings: Sequence[SnapshotFinding], actions: Iterable[Action]) -> list[SnapshotFinding]:
    """Add the last change of protection to each snapshot whose protection was removed.

    Args:
        findings: The findings of one project.
        actions: The project's actions, newest first.
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


def _classify(
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


def _unreadable(image_id: int, reason: str, known: BaselineEntry | None) -> SnapshotFinding:
    return SnapshotFinding(
        image_id=image_id,
        finding="unreadable",
        protected=False,
        description=known.description if known else "",
        reason=reason,
        last_known=known,
    )


def _missing(known: Mapping[int, BaselineEntry], listed: set[int]) -> list[SnapshotFinding]:
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
