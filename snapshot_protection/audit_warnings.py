"""The warnings of an audit's summary. Pure."""

from snapshot_protection.audit_report import AuditReport
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.project_audit import describe_history_lost, describe_inaccessible
from snapshot_protection.wording import first_ones

_NAMED_IN_SUMMARY = 20


def warning_lines(report: AuditReport) -> list[str]:
    """Make the lines on what could not be read, on duplicates, and the notes; none if there is nothing."""
    lines = [f"- 🔴 {escape_markdown(describe_inaccessible(project))}" for project in report.inaccessible]
    without_id = [
        f"{project.project}: {error.message}" for project in report.projects for error in project.without_id
    ]
    lines += [f"- 🔴 {escape_markdown(text)}" for text in first_ones(without_id, _NAMED_IN_SUMMARY)]
    lines += [
        f"- 🔴 {escape_markdown(describe_history_lost(project))}" for project in report.with_history_lost
    ]
    lines += [
        f"- 🟡 {escape_markdown(f'{project.project} and {project.duplicate_of}')} are the same project, by "
        "two tokens: counted once. Delete one of the credentials blocks."
        for project in report.projects
        if project.duplicate_of
    ]
    lines += [
        f"- 🟡 {escape_markdown(f'{project.project}: {project.note}')}"
        for project in report.projects
        if project.note
    ]
    mark = "🔴" if report.is_record_unreadable else "🟡"
    lines += [f"- {mark} {escape_markdown(report.note)}"] if report.note else []
    findings = (finding for project in report.projects for finding in project.findings)
    if report.label_selector and any(finding.is_missing for finding in findings):
        lines.append(
            "- ⚪ missing snapshots may have been relabelled: only snapshots with the labels "
            "above were listed."
        )
    return ["", "### Needs attention", "", *lines] if lines else []
