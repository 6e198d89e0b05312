"""What an audit finds in one project. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from snapshot_protection.audit_baseline import PolicyVersion, TrendPoint
from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.protection_report import format_error_ref


class ProjectAudit(BaseModel):
    """The findings of an audit in one project.

    Attributes:
        findings: One for each snapshot, the most severe first. In a deque, because an orchestrator searches
            each element of the lists and tuples that are returned to it: half a second for 10,000.
        error: Why its snapshots could not be listed.
        without_id: What is wrong with each listed entry that has no valid id.
        duplicate_of: The name of another audited project that is the same one, by another token.
        listed: When its listing began; None if it was not listed.
        previous: When the listing of the last audit began, None if there is nothing to compare with.
        versions: The ids of the stored versions of the baseline that it was compared with.
        history_lost: When an audit, perhaps this one, could not read the baseline; in the last 7 days.
        trend: The coverage that each audit found, this one last.
        note: What else to know, e.g. why there is no evidence.
        policies: The policies that the last audits followed, this one among them, see the baseline.
        policy_before: The policy that the last audit followed, if this one follows another or it has changed.
        unmatched: How many snapshots no rule of the policy matches.
        keeps_history: Whether it is compared with earlier audits, and later ones with it.
    """

    model_config = ConfigDict(frozen=True)

    project: str
    findings: deque[SnapshotFinding] = deque()
    error: ErrorInfo | None = None
    without_id: tuple[ErrorInfo, ...] = ()
    duplicate_of: str = ""
    listed: datetime | None = None
    previous: datetime | None = None
    versions: frozenset[str] = frozenset()
    history_lost: datetime | None = None
    trend: tuple[TrendPoint, ...] = ()
    note: str = ""
    policies: Mapping[str, PolicyVersion] = {}
    policy_before: PolicyVersion | None = None
    unmatched: int = 0
    keeps_history: bool = True

    @property
    def unprotected(self) -> list[SnapshotFinding]:
        """The findings that are violations."""
        return [finding for finding in self.findings if finding.is_violation]

    @property
    def missing_protected(self) -> list[SnapshotFinding]:
        """The findings of snapshots that are no longer listed, and that an audit has seen protected."""
        return [finding for finding in self.findings if finding.finding == "missing_protected"]

    def is_news(self, findings: Iterable[SnapshotFinding]) -> bool:
        """Return whether to notify of findings, or an audit of the same week (ISO, UTC) has reported them.

        They are news if one of them is new, or more snapshots are uncovered than in the last audit, e.g.
        because the policy changed; and in the first audit of a week, so what stays is reported weekly.
        """
        if self.previous is None or self.listed is None or any(finding.is_new for finding in findings):
            return True
        is_first_of_week = self.previous.isocalendar()[:2] != self.listed.isocalendar()[:2]
        uncovered = [point.total - point.protected for point in self.trend[-2:]]
        return is_first_of_week or (bool(uncovered) and uncovered[0] < uncovered[-1])

    @property
    def is_baseline_unreadable(self) -> bool:
        """Whether there is a baseline and this audit could not read it."""
        return self.history_lost is not None and self.history_lost == self.listed

    @property
    def listed_snapshots(self) -> int:
        """How many snapshots exist."""
        return sum(not finding.is_missing for finding in self.findings)

    def with_findings(self, findings: Iterable[SnapshotFinding], *, duplicate_of: str = "") -> "ProjectAudit":
        """Replace the findings, and this audit's point of the trend."""
        audit = self.model_copy(update={"findings": deque(findings), "duplicate_of": duplicate_of})
        return audit.model_copy(update={"trend": (*self.trend[:-1], audit.coverage)})

    @property
    def coverage(self) -> TrendPoint:
        """How many snapshots are protected, and how many are counted."""
        counted = [finding for finding in self.findings if finding.is_counted]
        return TrendPoint(sum(finding.protected for finding in counted), len(counted))


def describe_inaccessible(project: ProjectAudit) -> str:
    """Format why a project could not be read."""
    error = project.error or ErrorInfo()
    return f"project '{project.project}' could not be read: {error.message}{format_error_ref(error)}"


def describe_history_lost(project: ProjectAudit) -> str:
    """Format that a project's baseline could not be read, and when."""
    since = f"{project.history_lost:%Y-%m-%d %H:%M} UTC" if project.history_lost else ""
    return (
        f"project '{project.project}': the baseline could not be read at {since}; what was unprotected or "
        "deleted before is not known"
    )
