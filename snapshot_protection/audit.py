"""An audit's findings, one for each snapshot: pure functions of a listing and the baseline.

A snapshot that lost its protection is found by every audit until it is protected again or deleted, one that
is missing for a week: so an audit that is started by hand takes nothing from the nightly one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.models import Action, Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, State
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
_MISSING_REPORTED = timedelta(days=7)
_CLOCKS_DIFFER = timedelta(minutes=5)  # this machine's and the API's; what is created later is not young


class SnapshotFinding(BaseModel):
    """The finding for one snapshot.

    Attributes:
        protected: Its protection now; of a missing one, whether an audit has seen it protected.
        server: The name of the server it was created from, empty if that is not known.
        size: The stored size, GB; None if that is not known.
        evidence: The action that removed its protection; empty if none was found or searched for.
        since: Of one whose protection was removed: when the first audit that found or missed it began.
        is_new: Whether no earlier audit has found it unprotected, or missed it.
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
    since: datetime | None = None
    is_new: bool = False
    reason: str = ""
    last_known: BaselineEntry | None = None

    @property
    def is_missing(self) -> bool:
        """Whether an earlier audit has listed it, and it is no longer listed."""
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
        """Whether an audit has seen it protected, and it is unprotected now, or missing."""
        return self.finding in {"newly_unprotected", "missing_protected"}


def compare_with_baseline(
    listing: Iterable[ListedSnapshot],
    before: AuditBaseline | None,
    *,
    now: datetime,
    grace_hours: float,
    has_entries_without_id: bool = False,
) -> list[SnapshotFinding]:
    """Compare a listing with the baseline; without one, nothing is new and nothing is missing.

    Args:
        listing: The snapshots with a valid id.
        before: What earlier audits know.
        now: When the listing began.
        grace_hours: Unprotected snapshots that are younger, and were never seen protected, are not counted.
        has_entries_without_id: Whether the project also lists entries without one: one of those may be what
            seems to be missing, so that is reported as unreadable.

    Returns:
        A finding for each listed snapshot, and for each of the baseline that is not listed; the most severe
        first, then by id.
    """
    snapshots = [one for one in listing if one.is_snapshot and not one.deleted]
    known = before.snapshots if before else {}
    found = [_find(one, before, known.get(one.id), now=now, grace_hours=grace_hours) for one in snapshots]
    listed = {one.id for one in snapshots}
    gone = ((image_id, last) for image_id, last in known.items() if image_id not in listed)
    found += [
        _missing(image_id, last, now, perhaps_unreadable=has_entries_without_id)
        for image_id, last in gone
        if not _is_old(last, now)
    ]
    return sorted(found, key=severity)


def severity(finding: SnapshotFinding) -> tuple[int, int]:
    """Return a key that sorts the most severe findings first, then by id."""
    return _MOST_SEVERE_FIRST.index(finding.finding), finding.image_id


def baseline_entries(findings: Iterable[SnapshotFinding]) -> dict[int, BaselineEntry]:
    """Make the entries of the next audit's baseline: the snapshots that exist, and what is still reported."""
    return {
        one.image_id: one.last_known or BaselineEntry(_state(one), one.description, one.since, one.evidence)
        for one in findings
        if one.last_known or not (one.finding == "missing" or one.is_unreadable)
    }


def with_evidence(findings: Sequence[SnapshotFinding], actions: Iterable[Action]) -> list[SnapshotFinding]:
    """Add the last change of protection to each snapshot whose protection was removed, where none is known.

    Args:
        findings: The findings of one project.
        actions: The project's actions, newest first; one that failed changed nothing.
    """
    last: dict[int | None, Action] = {}
    for action in actions:
        if action.command == "change_protection" and not action.failed:
            last.setdefault(action.image_id, action)
    return [
        finding.model_copy(update={"evidence": _describe(last[finding.image_id])})
        if lacks_evidence(finding) and finding.image_id in last
        else finding
        for finding in findings
    ]


def lacks_evidence(finding: SnapshotFinding) -> bool:
    """Return whether the action that removed its protection is still to be looked up."""
    return finding.protection_removed and not finding.evidence


def _classify(
    image: Image, before: AuditBaseline | None, known: BaselineEntry | None, now: datetime, grace_hours: float
) -> FindingName:
    if image.is_protected:
        if known and known.state != "missing":
            return "protected" if known.state == "protected" else "newly_protected"
        return "new" if before else "protected"
    if known and known.was_protected:
        return "newly_unprotected"
    if image.created and -_CLOCKS_DIFFER <= now - image.created < timedelta(hours=grace_hours):
        return "in_grace_period"
    return "new_unprotected" if before and not known else "unprotected"


def _finding(image: Image, name: FindingName, known: BaselineEntry | None, now: datetime) -> SnapshotFinding:
    is_removed = name == "newly_unprotected"
    was_found = known is not None and known.state == "removed"
    return SnapshotFinding(
        image_id=image.id,
        finding=name,
        protected=image.is_protected,
        description=printable(image.description),
        server=printable(image.created_from.name) if image.created_from else "",
        created=image.created,
        size=image.image_size,
        evidence=known.evidence if known and is_removed and was_found else "",
        since=_since(known, "removed", now) if is_removed else None,
        is_new=name == "new_unprotected" or (is_removed and not was_found),
    )


def _find(
    one: ListedSnapshot,
    before: AuditBaseline | None,
    known: BaselineEntry | None,
    *,
    now: datetime,
    grace_hours: float,
) -> SnapshotFinding:
    if isinstance(one, UnreadableSnapshot):
        return _unreadable(one.id, one.error.message, known)
    return _finding(one, _classify(one, before, known, now, grace_hours), known, now)


def _unreadable(image_id: int, reason: str, known: BaselineEntry | None) -> SnapshotFinding:
    return SnapshotFinding(
        image_id=image_id,
        finding="unreadable",
        protected=False,
        description=printable(known.description) if known else "",
        reason=reason,
        last_known=known,
    )


def _missing(
    image_id: int, last: BaselineEntry, now: datetime, *, perhaps_unreadable: bool
) -> SnapshotFinding:
    if perhaps_unreadable and last.state != "missing":
        return _unreadable(image_id, "an entry without a valid id may be it", last)
    return SnapshotFinding(
        image_id=image_id,
        finding="missing_protected" if last.was_protected else "missing",
        protected=last.was_protected,
        description=printable(last.description),
        since=_since(last, "missing", now) if last.was_protected else None,
        evidence=last.evidence,
        is_new=last.state != "missing",
    )


def _since(last: BaselineEntry | None, state: State, now: datetime) -> datetime:
    """Return since when it is in a state; a time of a clock that was ahead is not kept."""
    return min(last.since, now) if last and last.since and last.state == state else now


def _is_old(last: BaselineEntry, now: datetime) -> bool:
    return last.state == "missing" and now - _since(last, "missing", now) >= _MISSING_REPORTED


def _state(finding: SnapshotFinding) -> State:
    if finding.is_missing:
        return "missing"
    if finding.protected:
        return "protected"
    return "removed" if finding.finding == "newly_unprotected" else "unprotected"


def _describe(action: Action) -> str:
    started = f" of {action.started:%Y-%m-%d %H:%M:%S} UTC" if action.started else ""
    return f"action {action.id}{started}" + ("" if action.succeeded else f", {printable(action.status)}")
