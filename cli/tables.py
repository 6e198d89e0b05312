"""Reports as tables on a terminal, in a file or in a pipe: a line for each snapshot, the reasons below."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from cli.json_output import print_json
from cli.table_layout import Column, Row, lay_out
from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.audit_pages import format_age
from snapshot_protection.audit_report import LABELS, AuditReport, label
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.joined_reasons import Reason, join_reasons, make_reason
from snapshot_protection.outcomes import SnapshotOutcome, severity
from snapshot_protection.project_audit import ProjectAudit
from snapshot_protection.protection_report import ProtectionReport, make_outcome_reason
from snapshot_protection.protection_table import MAX_TABLE_ROWS
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_pages import sort_outcomes
from snapshot_protection.prune_report import PruneReport
from snapshot_protection.unprotect_report import UnprotectOutcome, UnprotectReport

PROTECTION_COLUMNS = (
    Column("project"),
    Column("snapshot"),
    Column("outcome"),
    Column("server", optional=True),
    Column("description", cut=True),
)
AUDIT_COLUMNS = (
    Column("project"),
    Column("snapshot"),
    Column("finding"),
    Column("age", optional=True),
    Column("server", optional=True),
    Column("description", cut=True),
)
UNPROTECT_COLUMNS = PROTECTION_COLUMNS[1:]
PRUNE_COLUMNS = (
    Column("project"),
    Column("snapshot"),
    Column("outcome"),
    Column("due"),
    Column("age", optional=True),
    Column("GB", optional=True),
    Column("rule", optional=True),
    Column("server", optional=True),
    Column("kept because", cut=True),
    Column("description", cut=True),
)
_PIPE_WIDTH = 1_000_000  # columns: a row stays on one line, and nothing is cut
_RED = "bold red"
_COULD_NOT_BE_READ = "could not be read"
_FINDING_STYLES = {"🔴": _RED, "🟡": "yellow"}
_OUTCOME_STYLES = {
    "protected": "green",
    "already_protected": "dim",
    "would_protect": "cyan",
    "exempt": "dim",
    "deleted": "yellow",
    "unfinished": "yellow",
    "failed": _RED,
}


def make_console(*, stderr: bool = False) -> Console:
    """Make a console; in a file or a pipe a row stays on one line, so that it can be searched."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_PIPE_WIDTH)


def print_failure(reason: object, *, as_json: bool = False) -> int:
    """Print why a command failed, on standard error and, if wanted, as JSON; returns its exit status."""
    if as_json:
        print_json(succeeded=False, message=str(reason))
    make_console(stderr=True).print(Text(f"Failed: {reason}", style=_RED), soft_wrap=True)
    return 1


def print_rows(columns: Sequence[Column], rows: Sequence[Row], console: Console) -> None:
    """Print rows as a table that fits."""
    for line in lay_out(columns, rows, console.width):
        console.print(Text(line.text, style=line.style), soft_wrap=True)


def print_reasons(reasons: Iterable[Reason], console: Console) -> None:
    """Print each reason once, wrapped, and what it concerns below it."""
    joined = join_reasons(reasons)
    if joined:
        console.print()
    for reason in joined:
        _print_wrapped(reason.head, reason.style, console)
        _print_wrapped(reason.subject, reason.style, console, indent="  ")


def print_protection(report: ProtectionReport, console: Console) -> None:
    """Print a run's outcomes, the most severe last, where they are seen."""
    outcomes = sorted(report.snapshots, key=lambda outcome: -severity(outcome.outcome))[-MAX_TABLE_ROWS:]
    print_rows(PROTECTION_COLUMNS, [_protection_row(outcome) for outcome in outcomes], console)
    print_reasons([*_protection_reasons(outcomes), *_project_reasons(report)], console)


def print_audit(report: AuditReport, console: Console) -> None:
    """Print the findings that need attention, the most severe last, where they are seen."""
    rows, reasons = [], []
    for project in reversed(report.projects):
        findings = [] if project.duplicate_of else [one for one in project.findings if _is_shown(one)]
        shown = findings[:MAX_TABLE_ROWS][::-1]
        rows += [_audit_row(project, finding, report.audited) for finding in shown]
        reasons += [reason for finding in shown for reason in _audit_reasons(project, finding)]
        reasons += _audited_project_reasons(project, len(findings) - len(shown))
    print_rows(AUDIT_COLUMNS, rows, console)
    print_reasons(reasons, console)


def print_unprotect(report: UnprotectReport, console: Console) -> None:
    """Print the outcomes of a run that removed protection."""
    print_rows(UNPROTECT_COLUMNS, [_unprotect_row(outcome) for outcome in report.outcomes], console)
    print_reasons(filter(None, map(_unprotect_reason, report.outcomes)), console)


def print_prune(report: PruneReport, console: Console) -> None:
    """Print the outcomes of a prune run, the most severe last, where they are seen."""
    now, outcomes = datetime.now(UTC), sort_outcomes(report.outcomes)[:MAX_TABLE_ROWS][::-1]
    print_rows(PRUNE_COLUMNS, [_prune_row(outcome, now) for outcome in outcomes], console)
    reasons = [
        _error_reason(project.project, project.error) for project in report.with_errors if project.error
    ]
    print_reasons([*filter(None, map(_prune_reason, outcomes)), *reasons], console)


def _protection_row(outcome: SnapshotOutcome) -> Row:
    cells = {
        "project": outcome.project,
        "snapshot": str(outcome.image_id),
        "outcome": outcome.outcome,
        "server": outcome.server,
        "description": outcome.description,
    }
    return Row(cells, _OUTCOME_STYLES[outcome.outcome])


def _protection_reasons(outcomes: Iterable[SnapshotOutcome]) -> Iterator[Reason]:
    for one in outcomes:
        if one.message:
            yield make_outcome_reason(one)._replace(style=_OUTCOME_STYLES[one.outcome])


def _project_reasons(report: ProtectionReport) -> Iterator[Reason]:
    for project in report.with_errors:
        what = "could not be changed" if project.snapshots else _COULD_NOT_BE_READ
        yield _error_reason(project.project, project.error or ErrorInfo(), what)
    for project, error in report.without_id:
        yield _error_reason(project.project, error)


def _error_reason(project: str, error: ErrorInfo, what: str = _COULD_NOT_BE_READ) -> Reason:
    return make_reason(what, f"project '{project}'", error)._replace(style=_RED)


def _is_shown(finding: SnapshotFinding) -> bool:
    return finding.is_missing or not finding.protected


def _audit_row(project: ProjectAudit, finding: SnapshotFinding, now: datetime) -> Row:
    words = LABELS["unreadable"] if finding.is_unreadable else label(finding)
    cells = {
        "project": project.project,
        "snapshot": str(finding.image_id),
        "finding": words,
        "age": format_age(finding.created, now),
        "server": finding.server,
        "description": finding.description,
    }
    return Row(cells, _FINDING_STYLES.get(words[0], "dim"))


def _audit_reasons(project: ProjectAudit, finding: SnapshotFinding) -> Iterator[Reason]:
    mark, _, what = LABELS[finding.finding].partition(" ")
    subject, style = f"{project.project}/{finding.image_id}", _FINDING_STYLES.get(mark, "dim")
    if finding.reason:
        yield Reason(what, finding.reason, subject, (finding.image_id,), style)
    if finding.evidence:
        yield Reason(what, f"removed by {finding.evidence}", subject, style=style)


def _audited_project_reasons(project: ProjectAudit, hidden: int) -> Iterator[Reason]:
    subject = f"project '{project.project}'"
    if hidden > 0:
        yield Reason("not shown", f"{hidden:,} more snapshots, see the project's table", subject)
    if project.duplicate_of:
        yield Reason("not shown", f"same project as '{project.duplicate_of}'", subject, style="dim")
    for error in [*project.without_id, *([project.error] if project.error else [])]:
        yield _error_reason(project.project, error)


def _unprotect_row(outcome: UnprotectOutcome) -> Row:
    cells = {
        "snapshot": str(outcome.snapshot.image_id),
        "outcome": outcome.outcome.replace("_", " "),
        "server": outcome.snapshot.server,
        "description": outcome.snapshot.description,
    }
    return Row(cells, _RED if outcome.needs_attention else "")


def _unprotect_reason(one: UnprotectOutcome) -> Reason | None:
    if not one.error.message:
        return None
    image_id = one.snapshot.image_id
    reason = make_reason(one.outcome, str(image_id), one.error, image_id=image_id, action_id=one.action_id)
    return reason._replace(style=_RED if one.needs_attention else "")


def _prune_row(outcome: PruneOutcome, now: datetime) -> Row:
    cells = {
        "project": outcome.project,
        "snapshot": str(outcome.image_id),
        "outcome": outcome.outcome.replace("_", " "),
        "due": f"{outcome.due:%Y-%m-%d %H:%M} UTC" if outcome.due else "",
        "age": format_age(outcome.created, now),
        "GB": f"{outcome.size:.2f}" if outcome.size is not None else "",
        "rule": outcome.rule,
        "server": outcome.server,
        "kept because": "; ".join(outcome.reasons),
        "description": outcome.description,
    }
    return Row(cells, _prune_style(outcome))


def _prune_reason(one: PruneOutcome) -> Reason | None:
    if not one.message:
        return None
    reason = make_reason(one.outcome, f"{one.project}/{one.image_id}", one, image_id=one.image_id)
    return reason._replace(style=_prune_style(one))


def _prune_style(outcome: PruneOutcome) -> str:
    if outcome.needs_attention:
        return _RED
    return "dim" if outcome.outcome in {"kept", "in_use"} else ""


def _print_wrapped(text: str, style: str, console: Console, indent: str = "") -> None:
    for line in Text(text).wrap(console, console.width - len(indent)):
        console.print(Text(f"{indent}{line.plain.rstrip()}", style=style), soft_wrap=True)
