"""The pages of an audit: a table for each project, and a summary of all. Pure functions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest

from snapshot_protection.audit_baseline import TrendPoint
from snapshot_protection.audit_exempt_pages import exempt_lines
from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.audit_report import (
    AuditReport,
    describe_policy,
    format_headline,
    label,
    next_step,
)
from snapshot_protection.audit_warnings import warning_lines
from snapshot_protection.interrupted_runs import summary_lines
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.project_audit import ProjectAudit
from snapshot_protection.protection_report import format_error_ref
from snapshot_protection.wording import pluralize

COLUMNS = (
    "finding",
    "snapshot",
    "description",
    "server",
    "created",
    "age",
    "size in GB",
    "protected",
)
REASON_COLUMN = "reason"
EVIDENCE_COLUMN = "removed by"
MAX_TABLE_ROWS = 500
CONSOLE_URL = "https://console.hetzner.com/projects"
_NAMED_IN_SUMMARY = 20
_BARS = "▁▂▃▄▅▆▇█"
_MARKS = ("🔴", "🟡", "🟢", "⚪")


def build_table(project: ProjectAudit, *, now: datetime) -> list[dict[str, str | int]]:
    """Make the rows of a project's table, the most severe first: at most 500, then a count of the others."""
    if project.error:
        text = f"🔴 could not be read: {project.error.message}{format_error_ref(project.error)}"
        return [_row(text)]
    findings = list(project.findings)
    shown, hidden = findings[:MAX_TABLE_ROWS], findings[MAX_TABLE_ROWS:]
    rows = [_row_of(finding, now) for finding in shown]
    for column, cells in _columns_of_some(shown).items():  # beside the finding, where they are seen
        rows = [_insert(row, column, cell) for row, cell in zip(rows, cells, strict=True)]
    if hidden:
        counts = Counter(label(finding) for finding in hidden)
        text = ", ".join(f"{number} {words}" for words, number in counts.items())
        rows.append(_row(text, f"… {len(hidden)} more"))
    return rows


def sort_projects(report: AuditReport) -> list[ProjectAudit]:
    """Sort the projects of an audit, the most severe first; of the same severity, as they were audited."""
    return sorted(report.projects, key=lambda project: _MARKS.index(_project_mark(project)))


def render_summary(report: AuditReport, links: Mapping[str, str] | None = None) -> str:
    """Make the markdown summary of an audit.

    Args:
        report: The audit's report.
        links: By project, the link to its table.
    """
    links = links or {}
    lines = [
        f"## {_mark(report)} {format_headline(report)}",
        "",
        _scope(report),
        "",
        *_overview(report, links),
    ]
    lines += [line for project in sort_projects(report) for line in _section(project)]
    lines += exempt_lines(report)
    lines += warning_lines(report)
    lines += summary_lines(report.interrupted)
    if step := next_step(report):
        lines += [
            "",
            "### Next steps",
            "",
            f"{step} The projects are in the [Hetzner Console]({CONSOLE_URL}).",
        ]
    return "\n".join(lines) + "\n"


def sparkline(trend: Sequence[TrendPoint]) -> str:
    """Draw the coverage of the last audits on a scale from 0 to 100 %; only 100 % is a full bar."""
    points = [point for point in trend if point.total]
    if len(points) < 2:
        return ""
    return "".join(_BARS[point.protected * (len(_BARS) - 1) // point.total] for point in points)


def format_age(created: datetime | None, now: datetime) -> str:
    """Format an age, empty if it is not known: 12 minutes, 30 hours, 12 days."""
    if created is None:
        return ""
    minutes = max(0, int((now - created).total_seconds() // 60))
    if minutes < 120:
        return pluralize(minutes, "minute")
    hours = minutes // 60
    return pluralize(hours, "hour") if hours < 48 else pluralize(hours // 24, "day")


def _mark(report: AuditReport) -> str:
    urgent = (
        report.inaccessible,
        report.unreadable,
        report.with_history_lost,
        report.with_protection_removed,
        report.with_exemption_expired,
        report.is_record_unreadable,
    )
    if any(urgent):
        return "🔴"
    return "🟡" if report.unprotected or any(one.note for one in report.projects) else "🟢"


def _scope(report: AuditReport) -> str:
    parts = [f"Audited {report.audited:%Y-%m-%d %H:%M} UTC", escape_markdown(describe_policy(report))]
    if report.label_selector:
        parts.append(f"only snapshots with the labels {escape_markdown(report.label_selector)}")
    if report.grace_hours:
        parts.append(f"younger than {report.grace_hours:g} hours not counted")
    return ", ".join(parts) + "."


def _overview(report: AuditReport, links: Mapping[str, str]) -> list[str]:
    header = ("", "project", "snapshots", "protected", "coverage", "GB protected", "trend", "compared with")
    lines = [f"| {' | '.join(header)} |", "| --- | --- | ---: | ---: | ---: | ---: | --- | --- |"]
    for project in sort_projects(report):
        name = escape_markdown(project.project)
        if link := links.get(project.project):  # of letters, digits and dashes: nothing to escape
            name = f"[{project.project}]({link})"
        lines.append(f"| {' | '.join(_overview_cells(project, name))} |")
    return lines


def _overview_cells(project: ProjectAudit, name: str) -> tuple[str, ...]:
    if project.error:
        return (_project_mark(project), name, "?", "?", "could not be read", "", sparkline(project.trend), "")
    if project.duplicate_of:
        same = f"same project as {escape_markdown(project.duplicate_of)}"
        return (_project_mark(project), name, "", "", same, "", sparkline(project.trend), "")
    protected, total = project.coverage
    sizes = [(one.size or 0, one.protected) for one in project.findings if one.is_counted]
    stored, safe = sum(size for size, _ in sizes), sum(size for size, kept in sizes if kept)
    return (
        _project_mark(project),
        name,
        str(total),
        str(protected),
        f"{_percent(protected, total)}",
        f"{safe:,.0f} of {stored:,.0f}",
        sparkline(project.trend),
        _compared_with(project),
    )


def _project_mark(project: ProjectAudit) -> str:
    if project.error:
        return "🔴"
    if project.duplicate_of:
        return "⚪"
    if project.without_id or project.history_lost or any(one.is_urgent for one in project.findings):
        return "🔴"
    return "🟡" if project.unprotected or project.note else "🟢"


def _compared_with(project: ProjectAudit) -> str:
    if not project.keeps_history:
        return "no comparison"
    if project.previous:
        return f"{project.previous:%Y-%m-%d %H:%M}"
    return "unreadable baseline" if project.history_lost else "first audit"


def _percent(part: float, whole: float) -> str:
    """Round down: what is not complete must not read as 100 %."""
    return f"{int(1000 * part / whole) / 10:g} %" if whole else "-"


def _section(project: ProjectAudit) -> Iterable[str]:
    shown = [one for one in project.findings if one.is_unreadable or one.is_violation or one.is_missing]
    if not shown or project.duplicate_of:
        return
    yield from ("", f"### {escape_markdown(project.project)}", "")
    for finding in shown[:_NAMED_IN_SUMMARY]:
        mark, words = label(finding).split(" ", 1)
        known = [
            finding.description,
            finding.server and f"of {finding.server}",
            finding.reason,
            finding.evidence,
        ]
        text = ", ".join(escape_markdown(part) for part in known if part)
        yield f"- {mark} **{words}**: {finding.image_id}" + (f", {text}" if text else "")
    if len(shown) > _NAMED_IN_SUMMARY:
        yield f"- and {len(shown) - _NAMED_IN_SUMMARY} more, see the project's table"


def _row_of(finding: SnapshotFinding, now: datetime) -> dict[str, str | int]:
    return _row(
        label(finding) if not finding.is_unreadable else f"🔴 {finding.reason}",
        finding.image_id,
        finding.description,
        finding.server,
        f"{finding.created:%Y-%m-%d %H:%M}" if finding.created else "",
        format_age(finding.created, now),
        f"{finding.size:g}" if finding.size is not None else "",
        _protected(finding),
    )


def _protected(finding: SnapshotFinding) -> str:
    if finding.is_unreadable:
        return "?"
    if finding.is_missing:
        return "was" if finding.was_protected else "was not"
    return "yes" if finding.protected else "no"


def _columns_of_some(shown: Sequence[SnapshotFinding]) -> Mapping[str, list[str]]:
    """Make the cells of the columns that only some tables have: the last one stands first."""
    columns = {
        REASON_COLUMN: ["" if finding.is_unreadable else finding.reason for finding in shown],
        EVIDENCE_COLUMN: [finding.evidence for finding in shown],  # goes first: a reason may be long
    }
    return {column: cells for column, cells in columns.items() if any(cells)}


def _insert(row: dict[str, str | int], column: str, cell: str) -> dict[str, str | int]:
    first = {name: row[name] for name in COLUMNS[:3]}
    return {**first, column: cell, **row}


def _row(*cells: str | int) -> dict[str, str | int]:
    return dict(zip_longest(COLUMNS, cells, fillvalue=""))
