"""A protection run's summary in Markdown. Pure functions of its report."""

from collections import Counter

from snapshot_protection.markdown import escape_markdown
from snapshot_protection.outcomes import MOST_SEVERE_FIRST
from snapshot_protection.protection_report import (
    MAX_TABLE_ROWS,
    ProtectionReport,
    describe,
    describe_project_error,
    describe_without_id,
    format_headline,
    format_outcome_name,
    next_step,
    select_notable,
)

_NAMED_IN_SUMMARY = 20


def render_summary(report: ProtectionReport) -> str:
    """Make the Markdown summary of a run."""
    lines = [f"## {format_headline(report)}", "", *_projects_table(report)]
    named = select_notable(report)
    if named or report.with_errors or report.without_id:
        lines += ["", "### To look at", ""]
        lines += [f"- {escape_markdown(describe_project_error(project))}" for project in report.with_errors]
        lines += [f"- {escape_markdown(text)}" for text in describe_without_id(report)[:_NAMED_IN_SUMMARY]]
        lines += [f"- {escape_markdown(describe(outcome))}" for outcome in named[:_NAMED_IN_SUMMARY]]
        lines += [] if report.succeeded else ["", next_step(report)]
    if len(report.snapshots) > MAX_TABLE_ROWS:
        lines += ["", f"The table shows the first {MAX_TABLE_ROWS} of {len(report.snapshots)} snapshots."]
    return "\n".join(lines) + "\n"


def _projects_table(report: ProtectionReport) -> list[str]:
    counts: dict[str, Counter[str]] = {project.project: Counter() for project in report.projects}
    for outcome in report.snapshots:
        counts.setdefault(outcome.project, Counter())[outcome.outcome] += 1
    shown = [name for name in MOST_SEVERE_FIRST if any(count[name] for count in counts.values())]
    lines = [
        f"| {' | '.join(['project', 'snapshots', *map(format_outcome_name, shown)])} |",
        f"| --- |{' ---: |' * (1 + len(shown))}",
    ]
    for project, count in counts.items():
        same = report.duplicates.get(project)
        name = f"{project} (the same project as {same})" if same else project
        cells = [escape_markdown(name), str(count.total()), *(str(count[each]) for each in shown)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
