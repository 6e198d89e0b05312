"""The exempt snapshots of an audit, in its summary. Pure functions."""

from collections import Counter
from collections.abc import Iterator

from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.audit_report import AuditReport
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.project_audit import ProjectAudit
from snapshot_protection.wording import pluralize

_MAX_NAMED = 20


def exempt_lines(report: AuditReport) -> list[str]:
    """Make the section of the summary: a count for each project and rule, and each approved exemption."""
    lines = [line for project in report.distinct for line in _project_lines(project)]
    return ["", "### Exempt", "", *lines] if lines else []


def _project_lines(project: ProjectAudit) -> Iterator[str]:
    exempt = [finding for finding in project.findings if finding.finding == "exempt"]
    if not exempt:
        return
    yield f"- ⚪ **{escape_markdown(project.project)}**: {pluralize(len(exempt), 'snapshot')}"
    approved = [finding for finding in exempt if finding.is_approved]
    rules = Counter(finding.reason for finding in exempt if not finding.is_approved)
    yield from _bounded([f"{escape_markdown(rule)}: {count}" for rule, count in rules.items()], "rules")
    yield from _bounded([_describe(finding) for finding in approved], "with approval")


def _describe(finding: SnapshotFinding) -> str:
    known = (finding.description, finding.reason, finding.evidence and f"removed by {finding.evidence}")
    return ", ".join((str(finding.image_id), *(escape_markdown(part) for part in known if part)))


def _bounded(lines: list[str], what: str) -> Iterator[str]:
    yield from (f"    - {line}" for line in lines[:_MAX_NAMED])
    if len(lines) > _MAX_NAMED:
        yield f"    - and {len(lines) - _MAX_NAMED} more {what}, see the project's table"
