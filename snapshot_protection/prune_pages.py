"""The pages of a prune run: the plan, the form that requests approval, the report. Pure."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from snapshot_protection.joined_reasons import Reason, join_reasons, make_reason
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_plan import PlannedDeletion, PruneApprovalRequest, PrunePlan, describe_request
from snapshot_protection.prune_report import (
    MOST_SEVERE_FIRST,
    ProjectPruneReport,
    PruneReport,
    describe,
    describe_project,
    format_message,
)
from snapshot_protection.rendered_report import (
    LogLine,
    RenderedReport,
    RenderedSummary,
    RenderedTable,
    Row,
)

MAX_TABLE_ROWS = 1_000
COLUMNS = (
    "project",
    "snapshot",
    "outcome",
    "due",
    "rule",
    "created",
    "age",
    "GB",
    "reason",
    "message",
    "description",
    "server",
)
_MAX_IN_FORM = 20
_MAX_NAMED = 50
_DECISIONS = (
    "**apply** deletes these snapshots, one after the other, each only if it is still due and unchanged. "
    "**reject** ends the run without any change. A deleted snapshot cannot be restored."
)
_PLAN_COLUMNS = ("project", "snapshot", "rule", "description", "server", "created", "GB")


def render_plan(request: PruneApprovalRequest) -> str:
    """Render a plan as a page: its terms, what changed in it, and each snapshot; of many the first 1,000."""
    snapshots = request.plan.snapshots
    lines = [*_introduction(request), "", *_plan_table(snapshots[:MAX_TABLE_ROWS])]
    if len(snapshots) > MAX_TABLE_ROWS:
        more = len(snapshots) - MAX_TABLE_ROWS
        lines += ["", f"**And {more} more, which are not shown: set max_deletions to see all of a plan.**"]
    return "\n".join(lines) + "\n"


def render_form(request: PruneApprovalRequest) -> str:
    """Render what stands above the form that requests approval; of many snapshots it shows the first 20."""
    snapshots = request.plan.snapshots
    lines = [*_introduction(request), "", *_plan_table(snapshots[:_MAX_IN_FORM])]
    if len(snapshots) > _MAX_IN_FORM:
        lines += ["", f"And {len(snapshots) - _MAX_IN_FORM} more: see the plan among the run's artifacts."]
    return "\n".join([*lines, "", _DECISIONS]) + "\n"


def render_prune_report(report: PruneReport, now: datetime) -> RenderedReport:
    """Render the report of the run: a summary, and a table for each project."""
    return RenderedReport(
        message=format_message(report),
        log_lines=tuple(_log(report)),
        summary=RenderedSummary(
            "\n".join(_summary(report)) + "\n", description="Run summary.", key="snapshot-prune-summary"
        ),
        tables=tuple(_table(project, report, now) for project in report.projects if project.outcomes),
    )


def build_row(outcome: PruneOutcome, now: datetime) -> Row:
    """Make the row of a snapshot in the table of outcomes."""
    return {
        "snapshot": outcome.image_id,
        "outcome": outcome.outcome.replace("_", " "),
        "due": f"{outcome.due:%Y-%m-%d %H:%M} UTC" if outcome.due else "",
        "rule": outcome.rule,
        "created": f"{outcome.created:%Y-%m-%d %H:%M} UTC" if outcome.created else "",
        "age": f"{(now - outcome.created).days} d" if outcome.created else "",
        "GB": f"{outcome.size:.2f}" if outcome.size is not None else "",
        "reason": "; ".join(outcome.reasons),
        "message": f"{outcome.message} ({outcome.code})" if outcome.code else outcome.message,
        "description": outcome.description,
        "server": outcome.server,
        "correlation id": outcome.correlation_id,
    }


def sort_outcomes(outcomes: Iterable[PruneOutcome]) -> list[PruneOutcome]:
    """Sort the most severe first, then by the date at which they are due."""
    return sorted(
        outcomes,
        key=lambda one: (
            MOST_SEVERE_FIRST.index(one.outcome),
            one.due.timestamp() if one.due else 0,
            one.image_id,
        ),
    )


def _table(project: ProjectPruneReport, report: PruneReport, now: datetime) -> RenderedTable:
    shown = sort_outcomes(project.outcomes)[:MAX_TABLE_ROWS]
    more = len(project.outcomes) - len(shown)
    others = f"; {more} more are not shown" if more else ""
    return RenderedTable(
        [build_row(outcome, now) for outcome in shown],
        description=f"One row for each snapshot, most severe first{others}.",
        key=f"{'prune-plan' if report.dry_run else 'pruned'}-snapshots-{project.project}",
        project=project.project,
    )


def _summary(report: PruneReport) -> Iterator[str]:
    headline = escape_markdown(format_message(report), max_length=2_000)
    yield f"## {'Dry run: ' if report.dry_run else ''}{headline}"
    yield ""
    yield f"* **Policy:** {escape_markdown(report.policy)}"
    yield f"* **Quarantine:** {report.quarantine_days:g} days"
    yield f"* **Deletions in each project and run, at most:** {report.max_deletions}"
    if not report.dry_run:
        approval = escape_markdown(report.approved_by) or "no approval was required"
        yield f"* **Approved by (as stated):** {approval}"
    notes = [line for project in report.projects for line in describe_project(project)]
    notes += [describe(one) for one in sort_outcomes(report.outcomes) if one.needs_attention]
    if notes:
        yield from ("", "### Needs attention", "")
        yield from (f"- {escape_markdown(line)}" for line in notes[:_MAX_NAMED])
    if len(notes) > _MAX_NAMED:
        yield f"- and {len(notes) - _MAX_NAMED} more, see the table"


def _log(report: PruneReport) -> Iterator[LogLine]:
    for project in report.projects:
        level = logging.ERROR if project.error else logging.WARNING
        yield from (LogLine(line, level) for line in describe_project(project))
    outcomes = sort_outcomes(report.outcomes)
    reasons = (_reason(outcome) for outcome in outcomes if outcome.needs_attention)
    yield from (LogLine(str(reason), logging.ERROR) for reason in join_reasons(reasons))
    done = (outcome for outcome in outcomes if outcome.outcome in {"pruned", "deleted"})
    yield from (LogLine(describe(outcome)) for outcome in done)


def _reason(one: PruneOutcome) -> Reason:
    reason = make_reason(one.outcome, f"{one.project}/{one.image_id}", one, image_id=one.image_id)
    return reason._replace(alone=describe(one))


def _introduction(request: PruneApprovalRequest) -> list[str]:
    lines = [f"## {escape_markdown(describe_request(request.plan))}", ""]
    if request.differences:
        lines += [f"**The plan changed before it was applied; this is attempt {request.attempt}:**", ""]
        lines += [f"* {escape_markdown(difference)}" for difference in request.differences[:_MAX_NAMED]]
        lines += [""]
    return lines + _terms(request.plan)


def _terms(plan: PrunePlan) -> list[str]:
    return [
        f"* **Policy:** {escape_markdown(plan.policy)} ({plan.policy_digest[:12]})",
        f"* **Quarantine:** {plan.quarantine_days:g} days",
    ]


def _plan_table(snapshots: Sequence[PlannedDeletion]) -> list[str]:
    lines = [f"| {' | '.join(_PLAN_COLUMNS)} |", f"|{' --- |' * len(_PLAN_COLUMNS)}"]
    for one in snapshots:
        cells = [
            one.project,
            str(one.image_id),
            one.rule,
            one.description,
            one.server,
            f"{one.created:%Y-%m-%d %H:%M} UTC",
            f"{one.size:.2f}" if one.size is not None else "",
        ]
        lines.append(f"| {' | '.join(map(escape_markdown, cells))} |")
    return lines
