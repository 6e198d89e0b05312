"""The pages of a run that removes protection: the plan, the form that requests approval, the report. Pure."""

import logging
from collections.abc import Iterable

from snapshot_protection.joined_reasons import Reason, join_reasons, make_reason
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.rendered_report import LogLine, RenderedReport, RenderedSummary, RenderedTable
from snapshot_protection.unprotect_plan import ApprovalRequest, PlannedSnapshot, UnprotectPlan
from snapshot_protection.unprotect_report import (
    MOST_SEVERE_FIRST,
    UnprotectOutcome,
    UnprotectReport,
    describe,
    format_counts,
    format_expiry,
    format_message,
    next_step,
)
from snapshot_protection.wording import pluralize

_MAX_IN_FORM = 20
_DECISIONS = (
    "**apply** removes the protection now. The snapshots are exempt for the time above; then they are "
    "protected again, unless they were deleted or a rule of the policy exempts them. **reject** ends the run "
    "without any change."
)
_WAITS = "*Waits for approval: approve or reject it with Resume on the flow run's page, within 24 hours.*"
_PLAN_COLUMNS = ("snapshot", "plan", "description", "server", "created", "GB")


def render_plan(request: ApprovalRequest) -> str:
    """Render a plan as a page: what it was requested for, what changed in it, and each snapshot."""
    waits = [] if request.used else ["", _WAITS]
    return "\n".join([*_introduction(request), "", *_table(request.plan.snapshots), *waits]) + "\n"


def render_form(request: ApprovalRequest) -> str:
    """Render what stands above the form that requests approval; of many snapshots it shows the first 20.

    A list, because the dialog is too narrow for a table: it would cut what the decision depends on.
    """
    snapshots = request.plan.snapshots
    lines = [*_introduction(request), "", *map(_item, snapshots[:_MAX_IN_FORM])]
    if len(snapshots) > _MAX_IN_FORM:
        lines += ["", f"And {len(snapshots) - _MAX_IN_FORM} more: see the plan among the run's artifacts."]
    return "\n".join([*lines, "", _DECISIONS]) + "\n"


def render_unprotect_report(report: UnprotectReport) -> RenderedReport:
    """Render the report of the run."""
    outcomes = sorted(report.outcomes, key=lambda outcome: MOST_SEVERE_FIRST.index(outcome.outcome))
    project = report.plan.project
    return RenderedReport(
        message=format_message(report),
        log_lines=tuple(_log(outcomes)),
        summary=RenderedSummary(
            _render_summary(report), description="Run summary.", key=f"unprotect-summary-{project}"
        ),
        tables=(
            RenderedTable(
                [build_row(outcome) for outcome in outcomes],
                description="One row for each snapshot, most severe first.",
                key=f"unprotect-outcomes-{project}",
                project=project,
            ),
        ),
    )


def _render_summary(report: UnprotectReport) -> str:
    approved_by = escape_markdown(report.approved_by) or "no approval was required"
    expiry = escape_markdown(format_expiry(report), max_length=1_000)
    lines = [
        f"## {escape_markdown(format_counts(report))}",
        "",
        *_terms(report.plan),
        f"* **Approved by (as stated):** {approved_by}",
        *([f"* **Exempt:** {expiry}"] if expiry else []),
    ]
    if step := next_step(report):
        lines += ["", escape_markdown(step, max_length=1_000)]
    return "\n".join(lines) + "\n"


def _introduction(request: ApprovalRequest) -> list[str]:
    plan = request.plan
    count = pluralize(len(plan.snapshots), "snapshot")
    lines = [f"## Remove protection from {count} of {escape_markdown(plan.project)}", ""]
    if request.differences:
        lines += [f"**The plan changed, or was not applied in time; this is attempt {request.attempt}:**", ""]
        lines += [f"* {escape_markdown(difference)}" for difference in request.differences]
        lines += [""]
    return [*lines, *_terms(plan), "", f"**Plan:** {escape_markdown(plan.summary)}"]


def _terms(plan: UnprotectPlan) -> list[str]:
    return [f"* **Reason:** {escape_markdown(plan.reason)}", f"* **For:** {plan.hours:g} hours"]


def _table(snapshots: Iterable[PlannedSnapshot]) -> list[str]:
    lines = [f"| {' | '.join(_PLAN_COLUMNS)} |", f"|{' --- |' * len(_PLAN_COLUMNS)}"]
    for one in snapshots:
        cells = [
            str(one.image_id),
            _change(one),
            one.description,
            one.server,
            _created(one),
            f"{one.size:.2f}" if one.size is not None else "",
        ]
        lines.append(f"| {' | '.join(map(escape_markdown, cells))} |")
    return lines


def _item(one: PlannedSnapshot) -> str:
    known = [
        one.description,
        f"of {one.server}" if one.server else "",
        f"created {_created(one)}" if one.created else "",
        f"{one.size:.2f} GB" if one.size is not None else "",
    ]
    details = ", ".join(escape_markdown(part) for part in known if part)
    return f"* **{one.image_id}** {escape_markdown(_change(one))}" + (f": {details}" if details else "")


def _change(one: PlannedSnapshot) -> str:
    return one.change.replace("_", " ") + (f": {one.note}" if one.note else "")


def _created(one: PlannedSnapshot) -> str:
    return f"{one.created:%Y-%m-%d %H:%M} UTC" if one.created else ""


def build_row(outcome: UnprotectOutcome) -> dict[str, str | int]:
    """Make the row of a snapshot in the table of outcomes."""
    return {
        "snapshot": outcome.snapshot.image_id,
        "outcome": outcome.outcome.replace("_", " "),
        "message": outcome.error.message,
        "code": outcome.error.code,
        "action": outcome.action_id or "",
        "description": outcome.snapshot.description,
        "server": outcome.snapshot.server,
        "correlation id": outcome.error.correlation_id,
    }


def _log(outcomes: Iterable[UnprotectOutcome]) -> Iterable[LogLine]:
    outcomes = list(outcomes)
    for level, is_error in ((logging.ERROR, True), (logging.INFO, False)):
        reasons = (_reason(outcome) for outcome in outcomes if outcome.needs_attention is is_error)
        yield from (LogLine(str(reason), level) for reason in join_reasons(reasons))


def _reason(one: UnprotectOutcome) -> Reason:
    image_id = one.snapshot.image_id
    name = f"snapshot {image_id}"
    reason = make_reason(one.outcome, name, one.error, image_id=image_id, action_id=one.action_id)
    return reason._replace(alone=describe(one))
