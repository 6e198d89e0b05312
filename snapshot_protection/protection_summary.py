"""A protection run's summary in Markdown. Pure functions of its report."""

from collections import Counter
from collections.abc import Sequence

from snapshot_protection.markdown import escape_markdown
from snapshot_protection.outcomes import MOST_SEVERE_FIRST
from snapshot_protection.protection_report import (
    ProtectionReport,
    describe,
    describe_project_error,
    describe_without_id,
    format_headline,
    format_outcome_name,
    next_step,
    select_notable,
)
from snapshot_protection.protection_table import MAX_TABLE_ROWS
from snapshot_protection.wording import pluralize

_NAMED_IN_SUMMARY = 20
_NAMED_IN_A_LINE = 10


def render_summary(report: ProtectionReport) -> str:
    """Make the Markdown summary of a run."""
    lines = [f"## {format_headline(report)}", "", *_projects_table(report), *_policy_lines(report)]
    named = select_notable(report)
    if named or report.with_errors or report.without_id:
        lines += ["", "### Needs attention", ""]
        lines += [f"- {escape_markdown(describe_project_error(project))}" for project in report.with_errors]
        lines += [f"- {escape_markdown(text)}" for text in describe_without_id(report)[:_NAMED_IN_SUMMARY]]
        lines += [f"- {escape_markdown(describe(outcome))}" for outcome in named[:_NAMED_IN_SUMMARY]]
        lines += [] if report.succeeded else ["", next_step(report)]
    if exempt := describe_exempt(report):
        lines += ["", "### Exempt", "", *(f"- {escape_markdown(text)}" for text in exempt)]
    if len(report.snapshots) > MAX_TABLE_ROWS:
        lines += ["", f"The table shows the first {MAX_TABLE_ROWS} of {len(report.snapshots)} snapshots."]
    return "\n".join(lines) + "\n"


def describe_exempt(report: ProtectionReport) -> list[str]:
    """Format which snapshots are exempt and why: those of one reason together, 20 lines at most."""
    groups: dict[tuple[str, str], list[int]] = {}
    for outcome in report.snapshots:
        if outcome.outcome == "exempt":
            groups.setdefault((outcome.project, outcome.message), []).append(outcome.image_id)
    lines = [
        f"{project}: {pluralize(len(image_ids), 'snapshot')} exempt, {reason}: {_name(image_ids)}"
        for (project, reason), image_ids in list(groups.items())[:_NAMED_IN_SUMMARY]
    ]
    others = sum(len(image_ids) for image_ids in list(groups.values())[_NAMED_IN_SUMMARY:])
    return [*lines, *([f"and {pluralize(others, 'more exempt snapshot')}"] if others else [])]


def _name(image_ids: Sequence[int]) -> str:
    more = len(image_ids) - _NAMED_IN_A_LINE
    return ", ".join(map(str, image_ids[:_NAMED_IN_A_LINE])) + (f" and {more} more" if more > 0 else "")


def _policy_lines(report: ProtectionReport) -> list[str]:
    """Name the policy and, where it has rules, how many snapshots none of them matches."""
    if not (policies := report.policies):
        return []
    texts = [str(policy) if policy.has_rules else f"{policy}, without rules" for policy in policies]
    if len(policies) > 1:
        counted = zip(texts, policies.values(), strict=True)
        texts = [f"{text} in {pluralize(number, 'project')}" for text, number in counted]
    text = "; ".join(texts[:_NAMED_IN_A_LINE])
    if any(policy.has_rules for policy in policies):
        text += f": {sum(outcome.rule == '' for outcome in report.snapshots)} matched no rule"
    return ["", f"{escape_markdown(text[0].upper() + text[1:])}."]


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
