"""An audit's findings, one for each snapshot: pure functions of a listing and the baseline.

A snapshot that lost its protection is found by every audit until it is protected again or deleted, one that
is missing for a week: so an audit that is started by hand takes nothing from the nightly one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, State
from snapshot_protection.audit_finding import FindingName, SnapshotFinding, severity
from snapshot_protection.audit_requirements import AuditRequirements, Excuse, ExcuseFinder
from snapshot_protection.unreadable import ListedSnapshot, UnreadableSnapshot

_MISSING_REPORTED = timedelta(days=7)
_CLOCKS_DIFFER = timedelta(minutes=5)  # this machine's and the API's; what is created later is not young
_NO_REQUIREMENTS = AuditRequirements()


def compare_with_baseline(
    listing: Iterable[ListedSnapshot],
    before: AuditBaseline | None,
    *,
    now: datetime,
    grace_hours: float,
    requirements: AuditRequirements = _NO_REQUIREMENTS,
    has_entries_without_id: bool = False,
) -> list[SnapshotFinding]:
    """Compare a listing with the baseline; without one, nothing is new and nothing is missing.

    Args:
        listing: The snapshots with a valid id.
        before: What earlier audits know.
        now: When the listing began.
        grace_hours: Unprotected snapshots that are younger, and were never seen protected, are not counted.
        requirements: Which snapshots may be unprotected; without any, none.
        has_entries_without_id: Whether the project also lists entries without one: one of those may be what
            seems to be missing, so that is reported as unreadable.

    Returns:
        A finding for each listed snapshot, and for each of the baseline that is not listed; the most severe
        first, then by id.
    """
    comparison = _Comparison(before, now, grace_hours, ExcuseFinder(requirements, before, now))
    snapshots = [one for one in listing if one.is_snapshot and not one.deleted]
    known = before.snapshots if before else {}
    found = [comparison.find(one, known.get(one.id)) for one in snapshots]
    listed = {one.id for one in snapshots}
    gone = ((image_id, last) for image_id, last in known.items() if image_id not in listed)
    found += [
        comparison.find_missing(image_id, last, perhaps_unreadable=has_entries_without_id)
        for image_id, last in gone
        if not _is_old(last, now)
    ]
    return sorted(found, key=severity)


def baseline_entries(findings: Iterable[SnapshotFinding]) -> dict[int, BaselineEntry]:
    """Make the entries of the next audit's baseline: the snapshots that exist, and what is still reported."""
    return {
        one.image_id: one.last_known or _entry(one) for one in findings if one.last_known or _is_stored(one)
    }


@dataclass(frozen=True)
class _Comparison:
    before: AuditBaseline | None
    now: datetime
    grace_hours: float
    excuses: ExcuseFinder

    def find(self, one: ListedSnapshot, known: BaselineEntry | None) -> SnapshotFinding:
        if isinstance(one, UnreadableSnapshot):
            return self._unreadable(one.id, one.error.message, known)
        excuse = self.excuses.of_listed(one, known)
        return self._finding(one, excuse.finding or self._classify(one, known), known, excuse)

    def find_missing(
        self, image_id: int, last: BaselineEntry, *, perhaps_unreadable: bool
    ) -> SnapshotFinding:
        if perhaps_unreadable and last.state != "missing":
            return self._unreadable(image_id, "an entry without a valid id may be it", last)
        excuse = self.excuses.of_missing(image_id, last)
        return SnapshotFinding(
            image_id=image_id,
            finding=excuse.finding or ("missing_protected" if last.was_protected else "missing"),
            protected=last.was_protected,
            description=printable(last.description),
            since=_since(last, "missing", self.now) if last.was_protected else None,
            evidence=last.evidence,
            is_new=last.state != "missing",
            reason=excuse.reason,
            by_rule=excuse.by_rule,
            is_approved=excuse.is_approved,
            approved_until=excuse.approved_until,
            exempt_by=last.exempt_by,
        )

    def _unreadable(self, image_id: int, reason: str, known: BaselineEntry | None) -> SnapshotFinding:
        return SnapshotFinding(
            image_id=image_id,
            finding="unreadable",
            protected=False,
            description=printable(known.description) if known else "",
            reason=reason,
            by_rule=self.excuses.was_excused_by_rule(known),
            exempt_by=known.exempt_by if known else frozenset(),
            last_known=known,
        )

    def _classify(self, image: Image, known: BaselineEntry | None) -> FindingName:
        if image.is_protected:
            if known and known.state != "missing":
                return "protected" if known.state == "protected" else "newly_protected"
            return "new" if self.before else "protected"
        if known and known.was_protected:
            return "newly_unprotected"
        if self._is_in_grace_period(image, self.now):
            return "in_grace_period"
        return "new_unprotected" if self.before and not known else "unprotected"

    def _is_in_grace_period(self, image: Image, at: datetime) -> bool:
        limit = timedelta(hours=self.grace_hours)
        return image.created is not None and -_CLOCKS_DIFFER <= at - image.created < limit

    def _finding(
        self, image: Image, name: FindingName, known: BaselineEntry | None, excuse: Excuse
    ) -> SnapshotFinding:
        is_removed = not image.is_protected and known is not None and known.was_protected
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
            since=_since(known, "removed", self.now) if is_removed else None,
            is_new=self._is_new(image, name, known, excuse),
            reason=excuse.reason,
            by_rule=excuse.by_rule,
            is_approved=excuse.is_approved,
            approved_until=excuse.approved_until,
            exempt_by=self.excuses.exempt_by(known, excuse),
        )

    def _is_new(self, image: Image, name: FindingName, known: BaselineEntry | None, excuse: Excuse) -> bool:
        """Return whether no earlier audit found that; of an exempt one, that its protection was removed."""
        was_found = known is not None and known.state == "removed"
        match name:
            case "new_unprotected":
                return True
            case "unprotected":
                return self.before is not None and self._is_in_grace_period(image, self.before.listed)
            case "newly_unprotected":
                return not was_found or self.excuses.was_excused(known)
            case "exempt":
                return known is not None and known.was_protected and not was_found
            case "exemption_expired":
                last = self.before.listed if self.before else self.now
                return excuse.approved_until is not None and excuse.approved_until >= last
            case _:
                return False


def _since(last: BaselineEntry | None, state: State, now: datetime) -> datetime:
    """Return since when it is in a state; a time of a clock that was ahead is not kept."""
    return min(last.since, now) if last and last.since and last.state == state else now


def _is_old(last: BaselineEntry, now: datetime) -> bool:
    return last.state == "missing" and now - _since(last, "missing", now) >= _MISSING_REPORTED


def _is_stored(finding: SnapshotFinding) -> bool:
    """Return whether the next audit compares with it: of what is missing, only what was protected."""
    return not finding.is_unreadable and (not finding.is_missing or finding.was_protected)


def _entry(finding: SnapshotFinding) -> BaselineEntry:
    return BaselineEntry(
        _state(finding),
        finding.description,
        finding.since,
        finding.evidence,
        finding.exempt_by,
        finding.is_approved,
    )


def _state(finding: SnapshotFinding) -> State:
    if finding.is_missing:
        return "missing"
    if finding.protected:
        return "protected"
    return "removed" if finding.was_protected else "unprotected"
