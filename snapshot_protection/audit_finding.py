"""What an audit finds of one snapshot."""

from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from snapshot_protection.audit_baseline import BaselineEntry

FindingName = Literal[
    "unreadable",
    "newly_unprotected",
    "exemption_expired",
    "missing_protected",
    "new_unprotected",
    "unprotected",
    "in_grace_period",
    "missing",
    "missing_exempt",
    "pruned",
    "exempt",
    "newly_protected",
    "new",
    "protected",
]
MOST_SEVERE_FIRST: tuple[FindingName, ...] = get_args(FindingName)


class SnapshotFinding(BaseModel):
    """The finding for one snapshot.

    Attributes:
        protected: Its protection now; of a missing one, whether an audit has seen it protected.
        server: The name of the server it was created from, empty if that is not known.
        size: The stored size, GB; None if that is not known.
        evidence: The action that removed its protection; empty if none was found or searched for.
        since: Of one whose protection was removed: when the first audit that found or missed it began.
        is_new: Whether no earlier audit has found it unprotected, or missed it.
        reason: Why it could not be read, or why it is or was exempt; of one whose protection was removed,
            that a rule matches it now.
        by_rule: Whether a rule exempts it, also while it is protected.
        is_approved: Whether an approved exemption is, or was, the reason why it is unprotected.
        approved_until: When that exemption expires, or has expired; None if that is no longer known.
        exempt_by: The policies of which a rule exempts it, see the baseline.
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
    by_rule: bool = False
    is_approved: bool = False
    approved_until: datetime | None = None
    exempt_by: frozenset[str] = frozenset()
    last_known: BaselineEntry | None = None

    @property
    def is_missing(self) -> bool:
        """Whether an earlier audit has listed it, and it is no longer listed."""
        return self.finding in {"missing", "missing_protected", "missing_exempt", "pruned"}

    @property
    def is_counted(self) -> bool:
        """Whether it is part of the coverage: it is listed, not exempt, and not in its grace period."""
        return not self.is_missing and self.finding not in {"in_grace_period", "exempt"}

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

    @property
    def was_protected(self) -> bool:
        """Whether it is protected, or an audit has seen it protected."""
        return self.protected or self.protection_removed or self.since is not None

    @property
    def is_urgent(self) -> bool:
        """Whether it is reported in red."""
        return self.is_unreadable or self.protection_removed or self.finding == "exemption_expired"

    @property
    def is_exempt(self) -> bool:
        """Whether it is exempt or, if it is missing, was."""
        return self.finding in {"exempt", "missing_exempt"}


def severity(finding: SnapshotFinding) -> tuple[int, int]:
    """Return a key that sorts the most severe findings first, then by id."""
    return MOST_SEVERE_FIRST.index(finding.finding), finding.image_id
