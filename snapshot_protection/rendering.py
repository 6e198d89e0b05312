"""Rendering a run's report: one pure function for protection runs, and one for audits."""

import logging
import re
from collections.abc import Iterable, Iterator
from functools import partial

from snapshot_protection import audit_pages, audit_report, interrupted_runs, protection_report
from snapshot_protection.audit_baseline import table_key
from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.audit_report import AuditReport
from snapshot_protection.joined_reasons import Reason, join_reasons, make_reason
from snapshot_protection.project_audit import ProjectAudit, describe_history_lost
from snapshot_protection.protection_report import ProtectionReport
from snapshot_protection.protection_summary import describe_exempt, render_summary
from snapshot_protection.protection_table import build_table
from snapshot_protection.rendered_report import LogLine, RenderedReport, RenderedSummary, RenderedTable
from snapshot_protection.wording import join_in_chunks

_MAX_LINES = 1_000
_KEY_PART = re.compile(r"[a-z0-9-]+")


def render_protection_report(report: ProtectionReport, *, is_whole: bool) -> RenderedReport:
    """Render the report of a protection run.

    Args:
        report: The report.
        is_whole: Whether it is of a whole run: then table and summary have keys, so a history, which dry runs
            have separately. Otherwise the summary embeds the report, for the run that started this one.
    """
    mode = "-dry-run" if report.dry_run else ""
    summary = render_summary(report)
    return RenderedReport(
        message=protection_report.format_message(report),
        log_lines=tuple(_protection_log(report)),
        summary=RenderedSummary(
            summary if is_whole else f"{summary}\n\n{_embedded(report)}\n",
            description="Run summary.",
            key=f"snapshot-protection-summary{mode}" if is_whole else None,
        ),
        tables=(
            RenderedTable(
                build_table(report),
                description="One row for each snapshot, most severe first.",
                key=f"snapshot-protection-outcomes{mode}" if is_whole else None,
            ),
        ),
    )


def render_audit_report(report: AuditReport) -> RenderedReport:
    """Render the report of an audit; its summary links to the projects' tables."""
    return RenderedReport(
        message=audit_report.format_message(report),
        log_lines=tuple(_audit_log(report)),
        summary=RenderedSummary(
            partial(audit_pages.render_summary, report),
            description="Audit summary of all projects.",
            key="snapshot-audit-summary",
        ),
        tables=tuple(
            RenderedTable(
                audit_pages.build_table(project, now=report.audited),
                description=f"The snapshots of {project.project}, most severe first.",
                key=table_key(project.project, report.label_selector),
                project=project.project,
            )
            for project in report.projects
            if _KEY_PART.fullmatch(project.project)  # one that is not saved may have any name
        ),
    )


def _embedded(report: ProtectionReport) -> str:
    try:
        return report.dump()
    except ValueError as error:  # log, table and state have the result all the same
        return f"The report could not be stored for the run that started this one: {error}."


def _protection_log(report: ProtectionReport) -> Iterator[LogLine]:
    """Each outcome but what was protected already; several a line if they have no message or are exempt."""
    unchanged = {"already_protected", "exempt"}
    changed = [outcome for outcome in report.snapshots if outcome.outcome not in unchanged]
    with_message = [outcome for outcome in changed if outcome.message]
    for level, is_error in ((logging.ERROR, True), (logging.INFO, False)):
        chosen = [outcome for outcome in with_message if outcome.needs_attention is is_error]
        yield from _lines(map(str, join_reasons(map(protection_report.make_outcome_reason, chosen))), level)
    yield from map(LogLine, describe_exempt(report))
    without_message = (protection_report.describe(outcome) for outcome in changed if not outcome.message)
    yield from map(LogLine, join_in_chunks(without_message))


def _audit_log(report: AuditReport) -> Iterator[LogLine]:
    """The check for interrupted runs, what could not be read, then each removed protection."""
    for text in interrupted_runs.log_lines(report.interrupted):
        yield LogLine(text, logging.WARNING)
    if report.policy_before:
        yield LogLine(audit_report.describe_policy(report), logging.WARNING)
    yield from _lines(map(str, join_reasons(_unreadable_reasons(report))), logging.ERROR)
    for project in report.with_history_lost:
        yield LogLine(describe_history_lost(project), logging.ERROR)
    removed = report.with_protection_removed + report.with_exemption_expired
    reasons = join_reasons(_finding_reason(project, finding) for project, finding in removed)
    yield from _lines(map(str, reasons), logging.ERROR)


def _unreadable_reasons(report: AuditReport) -> Iterator[Reason]:
    for project in report.distinct:
        for error in project.without_id:
            yield make_reason("could not be read", f"project '{project.project}'", error)
        yield from (_finding_reason(project, one) for one in project.findings if one.is_unreadable)


def _finding_reason(project: ProjectAudit, finding: SnapshotFinding) -> Reason:
    what = audit_report.label(finding).partition(" ")[2]
    text = ", ".join(filter(None, [finding.reason, finding.evidence]))
    alone = audit_report.describe(project, finding)
    return Reason(what, text, f"{project.project}/{finding.image_id}", (finding.image_id,), alone=alone)


def _lines(texts: Iterable[str], level: int) -> list[LogLine]:
    """Make a line of each text; of thousands, one of 25: each is slow to store and to read."""
    texts = list(texts)
    return [LogLine(text, level) for text in (texts if len(texts) <= _MAX_LINES else join_in_chunks(texts))]
