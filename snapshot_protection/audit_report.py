"""What an audit tells people, in a line: its counts, and what to do. Pure functions of findings."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.sanitize import pluralize
from snapshot_protection.audit import FindingName, SnapshotFinding
from snapshot_protection.audit_baseline import TrendPoint
from snapshot_protection.interrupted_runs import InterruptedRuns, message_parts, next_steps
from snapshot_protection.outcomes import ErrorInfo
from snapshot_protection.protection_report import format_error_ref

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
    """What an audit found in one project.

    Attributes:
        findings: One for each snapshot, the worst first. In a deque, because Prefect looks into each element
            of the lists and tuples that a flow returns: half a second for 10,000.
        error: Why its snapshots could not be listed.
        duplicate_of: The name of the project, audited too, that it really is: another token of it.
        previous: When it was audited before, None if this was the first time.
        trend: What the last audits pluralize, this one last.
        note: What else a person should know, e.g. why there is no evidence.
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
        """The snapshots that should be protected and are not."""
        return [finding for finding in self.findings if finding.is_violation]

    @property
    def count(self) -> TrendPoint:
        """How many snapshots are protected, of how many that count."""
        counting = [finding for finding in self.findings if finding.counts]
        return TrendPoint(sum(finding.protected for finding in counting), len(counting))


class AuditReport(BaseModel):
    """What an audit found, project by project.

    Attributes:
        interrupted: Flow runs that never finished; they change nothing about the audit's state.
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
    def counts(self) -> Counter[str]:
        """How many snapshots had each finding."""
        return Counter(finding.finding for project in self.distinct for finding in project.findings)

    @property
    def unprotected(self) -> int:
        """How many snapshots should be protected and are not."""
        return sum(len(project.unprotected) for project in self.distinct)

    @property
    def with_protection_removed(self) -> list[tuple[ProjectAudit, SnapshotFinding]]:
        """The snapshots whose protection somebody must have lifted, with their projects."""
        pairs = [(project, finding) for project in self.distinct for finding in project.findings]
        return [(project, finding) for project, finding in pairs if finding.protection_removed]


class AuditFailedError(HetznerCloudError):
    """Projects could not be read, or snapshots are unprotected that must not be; `report` tells which."""

    def __init__(self, report: AuditReport) -> None:
        super().__init__(format_message(report))
        self.report = report
        self.args = (report,)


def mark_duplicates(projects: Sequence[ProjectAudit], endpoints: Mapping[str, str]) -> list[ProjectAudit]:
    """Notice projects that are really one: at the same endpoint an image's id is that of one image only."""
    owners: dict[tuple[str, int], str] = {}
    marked = []
    for project in projects:
        ids = [
            (endpoints.get(project.project, ""), finding.image_id)
            for finding in project.findings
            if not finding.is_gone
        ]
        owner = next((owners[image] for image in ids if image in owners), "")
        owners |= {} if owner else dict.fromkeys(ids, project.project)
        marked.append(project.model_copy(update={"duplicate_of": owner}))
    return marked


def format_message(report: AuditReport) -> str:
    """Say in one line what an audit found and, where a person is needed, what to do."""
    parts = [format_headline(report)]
    parts += [describe_inaccessible(project) for project in report.inaccessible]
    removed = report.with_protection_removed
    parts += [describe(project, finding) for project, finding in removed[:_NAMED_IN_MESSAGE]]
    if len(removed) > _NAMED_IN_MESSAGE:
        parts.append(f"and {len(removed) - _NAMED_IN_MESSAGE} more")
    parts += message_parts(report.interrupted)
    advice = next_step(report)
    return "; ".join(parts) + (f". {advice}" if advice else "")


def describe(project: ProjectAudit, finding: SnapshotFinding) -> str:
    """Say in one line what was found out about a snapshot."""
    words = LABELS[finding.finding].partition(" ")[2]
    evidence = f": {finding.evidence}" if finding.evidence else ""
    return f"{project.project}/{finding.image_id} {words}{evidence}"


def format_headline(report: AuditReport) -> str:
    """Say what was pluralize."""
    counts = report.counts
    projects = pluralize(len(report.distinct), "project")
    if report.inaccessible and len(report.inaccessible) == len(report.projects):
        return f"{projects} could not be read"
    inaccessible = (
        [f"{pluralize(len(report.inaccessible), 'project')} could not be read"] if report.inaccessible else []
    )
    protected, total = (sum(part) for part in zip(*(one.count for one in report.distinct), strict=True))
    newly = f" ({counts['newly_unprotected']} newly)" if counts["newly_unprotected"] else ""
    if not sum(counts.values()):
        return ", ".join([f"No snapshot found in {projects}", *inaccessible])
    parts = [f"{protected} of {pluralize(total, 'snapshot')} protected in {projects}"]
    parts += [f"{report.unprotected} unprotected{newly}"] if report.unprotected else []
    parts += [f"{counts['in_grace_period']} in their time of grace"] if counts["in_grace_period"] else []
    gone = counts["missing"] + counts["missing_protected"]
    parts += [f"{gone} gone"] if gone else []
    return ", ".join([*parts, *inaccessible])


def next_step(report: AuditReport) -> str:
    """Say what a person does next, nothing if there is nothing to do."""
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
    """Say why a project could not be read."""
    error = project.error or ErrorInfo()
    return f"project '{project.project}' could not be read: {error.message}{format_error_ref(error)}"
