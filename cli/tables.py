"""Reports as tables on a terminal, in a file or in a pipe."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapshot_protection.audit_pages import COLUMNS as AUDIT_COLUMNS
from snapshot_protection.audit_pages import EVIDENCE_COLUMN, REASON_COLUMN, rows_to_look_at
from snapshot_protection.audit_report import AuditReport
from snapshot_protection.outcomes import severity
from snapshot_protection.protection_report import ProtectionReport
from snapshot_protection.protection_table import COLUMNS, MAX_TABLE_ROWS, build_row
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_pages import COLUMNS as PRUNE_COLUMNS
from snapshot_protection.prune_pages import build_row as build_prune_row
from snapshot_protection.prune_pages import sort_outcomes
from snapshot_protection.prune_report import PruneReport
from snapshot_protection.unprotect_pages import build_row as build_unprotect_row
from snapshot_protection.unprotect_report import UnprotectReport

UNPROTECT_COLUMNS = ("snapshot", "outcome", "message", "action", "description", "server")
Row = Mapping[str, str | int]

_PIPE_WIDTH = 1_000  # columns
_MIN_WIDTH = 14  # columns, of a text that is wrapped
_NO_WRAP_COLUMNS = {"snapshot", "action", "outcome"}
_HEAD_COLUMNS = {"project", "snapshot", "outcome", "finding"}
_FINDING_STYLES = {"🔴": "bold red", "🟡": "yellow"}
_OUTCOME_STYLES = {
    "protected": "green",
    "already_protected": "dim",
    "would_protect": "cyan",
    "exempt": "dim",
    "deleted": "yellow",
    "unfinished": "yellow",
    "failed": "bold red",
}


def make_console(*, stderr: bool = False) -> Console:
    """Make a console; in a file or a pipe a row stays on one line, so that it can be searched."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_PIPE_WIDTH)


def print_failure(reason: object) -> int:
    """Print why a command failed, on standard error; returns its exit status."""
    make_console(stderr=True).print(Text(f"Failed: {reason}", style="bold red"), soft_wrap=True)
    return 1


def print_protection(report: ProtectionReport, console: Console) -> None:
    """Print a run's outcomes, the most severe last, where they are seen."""
    outcomes = sorted(report.snapshots, key=lambda outcome: -severity(outcome.outcome))
    rows = [(build_row(outcome), _OUTCOME_STYLES[outcome.outcome]) for outcome in outcomes[-MAX_TABLE_ROWS:]]
    _print_table(rows, COLUMNS, console)


def print_audit(report: AuditReport, console: Console) -> None:
    """Print the findings that need attention, the most severe last, where they are seen."""
    rows: list[tuple[Row, str]] = [
        ({"project": project.project, **row}, _FINDING_STYLES.get(str(row["finding"])[0], "dim"))
        for project in report.projects
        for row in rows_to_look_at(project, now=report.audited)
    ]
    _print_table(rows[::-1], ("project", *AUDIT_COLUMNS, REASON_COLUMN, EVIDENCE_COLUMN), console)


def print_unprotect(report: UnprotectReport, console: Console) -> None:
    """Print the outcomes of a run that removed protection."""
    rows: list[tuple[Row, str]] = [
        (build_unprotect_row(outcome), "bold red" if outcome.needs_attention else "")
        for outcome in report.outcomes
    ]
    _print_table(rows, UNPROTECT_COLUMNS, console)


def print_prune(report: PruneReport, console: Console) -> None:
    """Print the outcomes of a prune run, the most severe last, where they are seen."""
    now = datetime.now(UTC)
    rows: list[tuple[Row, str]] = [
        ({"project": outcome.project, **build_prune_row(outcome, now)}, _prune_style(outcome))
        for outcome in sort_outcomes(report.outcomes)[:MAX_TABLE_ROWS][::-1]
    ]
    _print_table(rows, PRUNE_COLUMNS, console)


def _prune_style(outcome: PruneOutcome) -> str:
    if outcome.needs_attention:
        return "bold red"
    return "dim" if outcome.outcome in {"kept", "in_use"} else ""


def _print_table(rows: Sequence[tuple[Row, str]], columns: Sequence[str], console: Console) -> None:
    """Print rows with their styles; columns that no row has are left out."""
    if not rows:
        return
    used = [name for name in columns if any(row.get(name) for row, _ in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in used:
        longest = max(cell_len(str(row.get(name, ""))) for row, _ in rows)
        fixed = name in _NO_WRAP_COLUMNS or longest <= _MIN_WIDTH
        width = longest if fixed else _MIN_WIDTH
        table.add_column(name, overflow="fold", no_wrap=fixed, min_width=max(width, cell_len(name)))
    for row, style in rows:
        table.add_row(*(Text(str(row.get(name, ""))) for name in used), style=style)
    if console.measure(table, options=console.options.update(max_width=_PIPE_WIDTH)).minimum <= console.width:
        console.print(table)
    else:  # a column would be cut off, or have a letter or two a line
        _print_list(rows, used, console)


def _print_list(rows: Sequence[tuple[Row, str]], columns: Sequence[str], console: Console) -> None:
    """Print what a table has no room for: for each row what it is about, then all else with its name."""
    for row, style in rows:
        head = "  ".join(str(row[name]) for name in columns if name in _HEAD_COLUMNS and row.get(name))
        named = [f"{name}: {row[name]}" for name in columns if name not in _HEAD_COLUMNS and row.get(name)]
        rest = f"\n  {', '.join(named)}" if named else ""
        console.print(Text(f"{head}{rest}", style=style), soft_wrap=True)
