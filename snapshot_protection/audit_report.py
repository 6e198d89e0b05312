"""An audit's report: the findings of all projects, their counts, and the message in one line. Pure."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection.audit import FindingName, SnapshotFinding
from snapshot_protection.audit_baseline import TrendPoint
from snapshot_protection.empty_projects import describe_empty, format_nothing_found
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.interrupted_runs import InterruptedRuns, message_parts, next_steps
from snapshot_protection.protection_report import format_error_ref
from snapshot_protection.wording import first_ones, pluralize

_NAMED_IN_MESSAGE = 5
LABELS: Mapping[FindingName, str] = {
    "newly_unprotected": "🔴 newly unprotected",
    "missing_protected": "🔴 gone, was protected",
    "new_unprotected": "🟡 new, unprotected",
    "unprotected": "🟡 unprotected",
    "in_grace_period": "⚪ in its time of grace",
    "missing": "⚪ gone, was not protected",
    "newly_protected": "🟢 newly protected",
    "new": "🟢 new, protected",
    "protected": "🟢 protected",
}


class ProjectAudit(BaseModel):
    """The findings of an audit in one project.

    Attributes:
        findings: One for each snapshot, the most severe first. In a deque, because an orchestrator searches
            each element of the lists and tuples that are returned to it: half a second for 10,000.
        error: Why its snapshots could not be listed.
        duplicate_of: The name of another audited project that is the same one, by another token.
        previous: When the last audit was, None if this is the first one.
        trend: The coverage that each audit found, this one last.
        note: What else to know, e.g. why there is no evidence.
    """

    model_config = ConfigDict(frozen=True)

    project: str
    findings: deque[SnapshotFinding] = deque()
    error: ErrorInfo | None = None
    duplicate_of: str = ""
    previous: datetime | None = None
    trend: tuple[TrendPoint, ...] = ()
    note: str = ""

    @property
    def unprotected(self) -> list[SnapshotFinding]:
        """The findings that are violations."""
        return [finding for finding in self.findings if finding.is_violation]

    @property
    def coverage(self) -> TrendPoint:
        """How many snapshots are protected, and how many are counted."""
        counted = [finding for finding in self.findings if finding.is_counted]
        return TrendPoint(sum(finding.protected for finding in counted), len(counted))


class AuditReport(BaseModel):
    """The findings of an audit, project by project.

    Attributes:
        interrupted: The runs that did not finish; they do not change the audit's state.
    """

    model_config = ConfigDict(frozen=True)

    audited: datetime
    projects: tuple[ProjectAudit, ...]
    label_selector: str = ""
    grace_hours: float = 0
    interrupted: InterruptedRuns = InterruptedRuns()

    @property
    def distinct(self) -> list[ProjectAudit]:
        """The projects, each once, however many tokens of it were used."""
        return [project for project in self.projects if not project.duplicate_of]

    @property
    def inaccessible(self) -> list[ProjectAudit]:
        """The projects whose snapshots could not be listed."""
        return [project for project in self.projects if project.error]

    @property
    def finding_counts(self) -> Counter[str]:
        """How many snapshots had each finding."""
        return Counter(finding.finding for project in self.distinct for finding in project.findings)

    @property
    def unprotected(self) -> int:
        """How many snapshots should be protected and are not."""
        return sum(len(project.unprotected) for project in self.distinct)

    @property
    def with_protection_removed(self) -> list[tuple[ProjectAudit, SnapshotFinding]]:
        """The snapshots whose protection was removed, with their projects."""
        pairs = [(project, finding) for project in self.distinct for finding in project.findings]
        return [(project, finding) for project, finding in pairs if finding.protection_removed]


class AuditFailedError(HetznerCloudError):
    """Projects could not be read, or snapshots are unprotected that must not be; see `report`."""

    def __init__(self, report: AuditReport) -> None:
        super().__init__(format_message(report))
        self.report = report
        self.args = (report,)


def mark_duplicates(projects: Sequence[ProjectAudit], endpoints: Mapping[str, str]) -> list[ProjectAudit]:
    """Mark projects that are the same one: at one endpoint an image's id belongs to one image only."""
    owners: dict[tuple[str, int], str] = {}
    marked = []
    for project in projects:
        ids = [
            (endpoints.get(project.project, ""), finding.image_id)
            for finding in project.findings
            if not finding.is_missing
        ]
        owner = next((owners[image] for image in ids if image in owners), "")
        owners |= {} if owner else dict.fromkeys(ids, project.project)
        marked.append(project.model_copy(update={"duplicate_of": owner}))
    return marked


def format_message(report: AuditReport) -> str:
    """Format in one line what an audit found and, where there is something to do, the next step."""
    parts = [format_headline(report)]
    inaccessible = [describe_inaccessible(project) for project in report.inaccessible]
    parts += _describe_empty(report) + first_ones(inaccessible, _NAMED_IN_MESSAGE, "project")
    removed = [describe(project, finding) for project, finding in report.with_protection_removed]
    parts += first_ones(removed, _NAMED_IN_MESSAGE)
    parts += message_parts(report.interrupted)
    step = next_step(report)
    return "; ".join(parts) + (f". {step}" if step else "")


def _describe_empty(report: AuditReport) -> list[str]:
    empty = [
        one.project
        for one in report.distinct
        if not one.error and all(finding.is_missing for finding in one.findings)
    ]
    return describe_empty(empty, report.label_selector) if report.finding_counts else []


def describe(project: ProjectAudit, finding: SnapshotFinding) -> str:
    """Format a finding in one line."""
    words = LABELS[finding.finding].partition(" ")[2]
    evidence = f": {finding.evidence}" if finding.evidence else ""
    return f"{project.project}/{finding.image_id} {words}{evidence}"


def format_headline(report: AuditReport) -> str:
    """Format how many snapshots and projects there are, and in which state."""
    counts = report.finding_counts
    projects = pluralize(len(report.distinct), "project")
    if report.inaccessible and len(report.inaccessible) == len(report.projects):
        return f"{projects} could not be read"
    inaccessible = (
        [f"{pluralize(len(report.inaccessible), 'project')} could not be read"] if report.inaccessible else []
    )
    protected, total = (sum(part) for part in zip(*(one.coverage for one in report.distinct), strict=True))
    newly = f" ({counts['newly_unprotected']} newly)" if counts["newly_unprotected"] else ""
    if not sum(counts.values()):
        read = len(report.distinct) - len(report.inaccessible)
        return ", ".join([format_nothing_found(read, report.label_selector), *inaccessible])
    parts = [f"{protected} of {pluralize(total, 'snapshot')} protected in {projects}"]
    parts += [f"{report.unprotected} unprotected{newly}"] if report.unprotected else []
    parts += [f"{counts['in_grace_period']} in their time of grace"] if counts["in_grace_period"] else []
    missing = counts["missing"] + counts["missing_protected"]
    parts += [f"{missing} gone"] if missing else []
    return ", ".join([*parts, *inaccessible])


def next_step(report: AuditReport) -> str:
    """Return the next step, empty if there is nothing to do."""
    parts = []
    if report.inaccessible:
        parts.append("Mend what keeps the projects from being read, then run the audit again.")
    if report.with_protection_removed:
        parts.append("Find out who lifted the protection or deleted the snapshots.")
    if report.unprotected:
        parts.append("Run protect-snapshots to protect what is not.")
    parts += next_steps(report.interrupted)
    return " ".join(parts)


def describe_inaccessible(project: ProjectAudit) -> str:
    """Format why a project could not be read."""
    error = project.error or ErrorInfo()
    return f"project '{project.project}' could not be read: {error.message}{format_error_ref(error)}"
