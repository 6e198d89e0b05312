"""An audit's report: the findings of all projects, their counts, and the message in one line. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection.audit_baseline import PolicyVersion
from snapshot_protection.audit_finding import FindingName, SnapshotFinding
from snapshot_protection.empty_projects import describe_empty, format_nothing_found
from snapshot_protection.interrupted_runs import InterruptedRuns, message_parts, next_steps
from snapshot_protection.policy import BUILT_IN, NamedPolicy
from snapshot_protection.project_audit import ProjectAudit, describe_history_lost, describe_inaccessible
from snapshot_protection.same_projects import describe_duplicates
from snapshot_protection.wording import first_ones, pluralize

_NAMED_IN_MESSAGE = 5
LABELS: Mapping[FindingName, str] = {
    "unreadable": "🔴 could not be read",
    "newly_unprotected": "🔴 newly unprotected",
    "exemption_expired": "🔴 exemption expired",
    "missing_protected": "🔴 missing, was protected",
    "new_unprotected": "🟡 new, unprotected",
    "unprotected": "🟡 unprotected",
    "in_grace_period": "⚪ in grace period",
    "missing": "⚪ missing, was not protected",
    "missing_exempt": "⚪ missing, was exempt",
    "pruned": "⚪ pruned",
    "exempt": "⚪ exempt",
    "newly_protected": "🟢 newly protected",
    "new": "🟢 new, protected",
    "protected": "🟢 protected",
}


class AuditReport(BaseModel):
    """The findings of an audit, project by project.

    Attributes:
        interrupted: The runs that did not finish; they do not change the audit's state.
        note: What else to know, e.g. why projects that were removed are not noticed.
        is_record_unreadable: Whether the record of the projects of earlier audits could not be read.
    """

    model_config = ConfigDict(frozen=True)

    audited: datetime
    projects: tuple[ProjectAudit, ...] = Field(repr=False)  # asyncio makes the repr of a run's result
    label_selector: str = ""
    grace_hours: float = 0
    policy: NamedPolicy = NamedPolicy()
    interrupted: InterruptedRuns = InterruptedRuns()
    note: str = ""
    is_record_unreadable: bool = False

    @cached_property
    def distinct(self) -> list[ProjectAudit]:
        """The projects, each once, however many tokens of it were used."""
        return [project for project in self.projects if not project.duplicate_of]

    @property
    def inaccessible(self) -> list[ProjectAudit]:
        """The projects whose snapshots could not be listed."""
        return [project for project in self.projects if project.error]

    @cached_property
    def unreadable(self) -> list[str]:
        """What could not be read in projects that could, each in one line."""
        return [
            text
            for project in self.distinct
            for text in (
                *(f"project '{project.project}': {error.message}" for error in project.without_id),
                *(describe(project, one) for one in project.findings if one.is_unreadable),
            )
        ]

    @cached_property
    def finding_counts(self) -> Counter[str]:
        """How many snapshots had each finding."""
        return Counter(finding.finding for project in self.distinct for finding in project.findings)

    @cached_property
    def unprotected(self) -> int:
        """How many snapshots should be protected and are not."""
        return sum(len(project.unprotected) for project in self.distinct)

    @property
    def new_unprotected(self) -> int:
        """How many of them no earlier audit has found unprotected."""
        return sum(one.is_new for project in self.distinct for one in project.unprotected)

    @property
    def with_history_lost(self) -> list[ProjectAudit]:
        """The projects whose baseline could not be read, by this audit or one of the last week."""
        return [project for project in self.projects if project.history_lost]

    @property
    def succeeded(self) -> bool:
        """Whether every project, each of its snapshots, and what earlier audits have stored could be read."""
        lost = self.is_record_unreadable or any(one.is_baseline_unreadable for one in self.projects)
        return not (self.inaccessible or self.unreadable or lost)

    @property
    def state_name(self) -> str:
        """The name of the final state of an audit that did not fail: Completed only if nothing is red."""
        if self.unprotected:
            return "Unprotected"
        if self.with_protection_removed:
            return "Missing"
        return "Baseline lost" if self.with_history_lost else "Completed"

    @cached_property
    def with_protection_removed(self) -> list[tuple[ProjectAudit, SnapshotFinding]]:
        """The snapshots whose protection was removed, with their projects."""
        return self._with_projects(lambda finding: finding.protection_removed)

    @cached_property
    def with_exemption_expired(self) -> list[tuple[ProjectAudit, SnapshotFinding]]:
        """The snapshots that should be protected again, with their projects."""
        return self._with_projects(lambda finding: finding.finding == "exemption_expired")

    @property
    def policy_before(self) -> PolicyVersion | None:
        """The policy of the last audit, if this one follows another or it has changed."""
        before = [project.policy_before for project in self.projects if project.policy_before]
        return max(before, key=lambda version: version.audited, default=None)

    def _with_projects(
        self, is_wanted: Callable[[SnapshotFinding], bool]
    ) -> list[tuple[ProjectAudit, SnapshotFinding]]:
        return [
            (project, finding)
            for project in self.distinct
            for finding in project.findings
            if is_wanted(finding)
        ]


class AuditFailedError(HetznerCloudError):
    """Projects could not be read, or snapshots are unprotected that must not be; see `report`."""

    def __init__(self, report: AuditReport) -> None:
        super().__init__(format_message(report))
        self.report = report
        self.args = (report,)


def format_message(report: AuditReport) -> str:
    """Format in one line what an audit found and, where there is something to do, the next step."""
    duplicates = {one.project: one.duplicate_of for one in report.projects if one.duplicate_of}
    parts = [format_headline(report), *describe_duplicates(duplicates)]
    inaccessible = [describe_inaccessible(project) for project in report.inaccessible]
    parts += _describe_empty(report) + first_ones(inaccessible, _NAMED_IN_MESSAGE, "project")
    parts += first_ones(report.unreadable, _NAMED_IN_MESSAGE)
    lost = [describe_history_lost(project) for project in report.with_history_lost]
    parts += first_ones(lost, _NAMED_IN_MESSAGE, "project")
    removed = report.with_protection_removed + report.with_exemption_expired
    parts += first_ones([describe(project, finding) for project, finding in removed], _NAMED_IN_MESSAGE)
    notes = [f"project '{one.project}': {one.note}" for one in report.projects if one.note]
    parts += first_ones(notes, _NAMED_IN_MESSAGE, "project")
    parts += [report.note] if report.note else []
    parts += [describe_policy(report)] if report.policy.name != BUILT_IN or report.policy_before else []
    parts += message_parts(report.interrupted)
    step = next_step(report)
    return "; ".join(parts) + (f". {step}" if step else "")


def label(finding: SnapshotFinding) -> str:
    """Format a finding; one that an earlier audit has had as well says since when."""
    if finding.is_new or finding.since is None or not finding.protection_removed:
        return LABELS[finding.finding]
    since = f"since {finding.since:%Y-%m-%d %H:%M} UTC"
    return f"🔴 missing {since}, was protected" if finding.is_missing else f"🔴 unprotected {since}"


def _describe_empty(report: AuditReport) -> list[str]:
    empty = [
        one.project
        for one in report.distinct
        if not one.error and not one.without_id and all(finding.is_missing for finding in one.findings)
    ]
    return describe_empty(empty, report.label_selector) if report.finding_counts else []


def describe(project: ProjectAudit, finding: SnapshotFinding) -> str:
    """Format a finding in one line."""
    if finding.is_unreadable:
        return f"{project.project}/{finding.image_id} {finding.reason}"
    words = label(finding).partition(" ")[2]
    reason = f", {finding.reason}" if finding.reason else ""
    evidence = f": {finding.evidence}" if finding.evidence else ""
    return f"{project.project}/{finding.image_id} {words}{reason}{evidence}"


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
    new = f" ({report.new_unprotected} new)" if report.new_unprotected else ""
    if not sum(counts.values()) and not report.unreadable:
        read = len(report.distinct) - len(report.inaccessible)
        return ", ".join([format_nothing_found(read, report.label_selector), *inaccessible])
    parts = [f"{protected} of {pluralize(total, 'snapshot')} protected in {projects}"]
    parts += [f"{report.unprotected} unprotected{new}"] if report.unprotected else []
    parts += [f"{counts['in_grace_period']} in grace period"] if counts["in_grace_period"] else []
    parts += [f"{counts['exempt']} exempt"] if counts["exempt"] else []
    missing = sum(one.is_missing for project in report.distinct for one in project.findings)
    parts += [f"{missing} missing"] if missing else []
    parts += [f"{len(report.unreadable)} could not be read"] if report.unreadable else []
    return ", ".join([*parts, *inaccessible])


def next_step(report: AuditReport) -> str:
    """Return the next step, empty if there is nothing to do."""
    parts = []
    if report.inaccessible:
        parts.append("Restore access to the projects, then rerun the audit.")
    if report.unreadable:
        parts.append(
            "Check the unreadable snapshots in the Hetzner Console: whether they are protected is unknown."
        )
    if report.with_protection_removed:
        parts.append("Find out who removed protection from, or deleted, these snapshots.")
    if report.with_history_lost:
        parts.append("Check in the Hetzner Console that no snapshot is missing where the baseline was lost.")
    if report.is_record_unreadable:
        parts.append("Check that a credentials block is saved for each project.")
    if report.unprotected:
        parts.append("Run protect-snapshots to protect the unprotected snapshots.")
    parts += next_steps(report.interrupted)
    return " ".join(parts)


def describe_policy(report: AuditReport) -> str:
    """Format which policy the audit followed, whether it has changed, and what its rules leave out."""
    parts = [str(report.policy)]
    if before := report.policy_before:
        audit = f"the audit of {before.audited:%Y-%m-%d %H:%M} UTC"
        policy = f"policy '{before.name}' ({before.digest[:12]})"
        if before.name == report.policy.name:
            parts.append(f"changed since {audit}, when it was {before.digest[:12]}")
        elif report.policy.name == BUILT_IN:
            parts.append(f"since {policy} of {audit} is no longer saved")
        else:
            parts.append(f"unlike {audit}, which followed {policy}")
    if report.policy.policy.rules:
        unmatched = sum(project.unmatched for project in report.distinct)
        parts.append(f"{pluralize(unmatched, 'snapshot')} matched no rule")
    return ", ".join(parts)
