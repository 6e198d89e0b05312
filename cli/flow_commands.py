"""The flows from the shell: the same parameters, the outcome as a table, and an exit status."""

import argparse
import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar, cast

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection import audit_report
from snapshot_protection.audit_pages import COLUMNS as AUDIT_COLUMNS
from snapshot_protection.audit_pages import EVIDENCE_COLUMN, rows_to_look_at
from snapshot_protection.audit_report import AuditFailedError, AuditReport
from snapshot_protection.protection_report import (
    COLUMNS,
    MAX_TABLE_ROWS,
    ProtectionReport,
    SnapshotsNotProtectedError,
    build_row,
    format_message,
    severity,
)

R = TypeVar("R", ProtectionReport, AuditReport)

Row = Mapping[str, str | int]

_INTERRUPTED = 130
_UNBROKEN = 1_000  # columns
_UNBROKEN_COLUMNS = {"snapshot", "action", "outcome", "finding"}
_MARKS = {"🔴": "bold red", "🟡": "yellow"}
_COLOURS = {
    "protected": "green",
    "already_protected": "dim",
    "would_protect": "cyan",
    "deleted": "yellow",
    "unfinished": "yellow",
    "failed": "bold red",
}


def run_protect_snapshots(
    flow: Callable[..., Coroutine[Any, Any, ProtectionReport]], arguments: Sequence[str] | None = None
) -> int:
    """Run the flow `protect-snapshots` with a command line's arguments.

    Returns:
        The exit status: 0 if the run is Completed, 130 if it was interrupted, else 1.
    """
    options = _protect_parser().parse_args(arguments)
    run = flow(
        projects=options.project,
        label_selector=options.label_selector,
        dry_run=options.dry_run,
        timeout_seconds=options.timeout_seconds,
    )
    return _run(run, print_report, format_message)


def run_audit_snapshot_protection(
    flow: Callable[..., Coroutine[Any, Any, AuditReport]], arguments: Sequence[str] | None = None
) -> int:
    """Run the flow `audit-snapshot-protection` with a command line's arguments.

    Returns:
        The exit status: 0 if the run is Completed, 130 if it was interrupted, else 1.
    """
    options = _audit_parser().parse_args(arguments)
    run = flow(
        projects=options.project,
        label_selector=options.label_selector,
        grace_hours=options.grace_hours,
        fail_on_unprotected=options.fail_on_unprotected,
    )
    return _run(run, print_audit, audit_report.format_message)


def _run(run: Coroutine[Any, Any, R], show: Callable[[R, Console], None], message: Callable[[R], str]) -> int:
    try:
        report = asyncio.run(run)
    except (SnapshotsNotProtectedError, AuditFailedError) as error:
        show(cast("R", error.report), _console())
        return _fail(error)
    except HetznerCloudError as error:
        return _fail(error)
    except (RuntimeError, httpx.TransportError) as error:  # how Prefect says that its server is not there
        if isinstance(error, RuntimeError) and "API" not in str(error):
            raise
        return _fail(f"the Prefect server: {error}. Is PREFECT_API_URL right, and the server running?")
    except KeyboardInterrupt:
        _fail("interrupted. The log names what was started. Run it again: what is protected costs nothing.")
        return _INTERRUPTED
    finally:
        _end_quietly()
    show(report, _console())
    _console().print(Text(f"Completed: {message(report)}", style="bold green"), soft_wrap=True)
    return 0


def _end_quietly() -> None:
    """At exit Prefect's workers warn of what they then do send, and a last heartbeat finds them stopped."""
    for name in ("APILogWorker", "EventsWorker", "prefect.events.utilities"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def print_report(report: ProtectionReport, console: Console) -> None:
    """Print a run's outcomes as a table, those that need a person last, where they are seen."""
    outcomes = sorted(report.snapshots, key=lambda outcome: -severity(outcome.outcome))
    shown = outcomes[-MAX_TABLE_ROWS:]
    rows = [(build_row(outcome), _COLOURS[outcome.outcome]) for outcome in shown]
    _print_table(rows, COLUMNS, console)


def print_audit(report: AuditReport, console: Console) -> None:
    """Print what an audit found as a table, the worst last, where it is seen, and not what is well."""
    rows: list[tuple[Row, str]] = [
        ({"project": project.project, **row}, _MARKS.get(str(row["finding"])[0], "dim"))
        for project in report.projects
        for row in rows_to_look_at(project, now=report.audited)
    ]
    _print_table(rows[::-1], ("project", *AUDIT_COLUMNS, EVIDENCE_COLUMN), console)


def _print_table(rows: Sequence[tuple[Row, str]], columns: Sequence[str], console: Console) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        if any(row.get(name) for row, _ in rows):
            table.add_column(name, overflow="fold", no_wrap=name in _UNBROKEN_COLUMNS)
    for row, style in rows:
        table.add_row(*(Text(str(row.get(str(column.header), ""))) for column in table.columns), style=style)
    console.print(table)


def _fail(error: HetznerCloudError | str) -> int:
    _console(stderr=True).print(Text(f"Failed: {error}", style="bold red"), soft_wrap=True)
    return 1


def _console(*, stderr: bool = False) -> Console:
    """In a file or a pipe a row stays on one line, so that it can be searched."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_UNBROKEN)


def _protect_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "python -m flows.protect_snapshots",
        "Protect every snapshot from deletion, wait for each resulting action, and verify. "
        "Exit status 0 only if nothing failed and nothing is unfinished.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only report what would be protected")
    parser.add_argument(
        "--timeout-seconds",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="how long to wait for the actions after the last one was started (default: 900)",
    )
    return parser


def _audit_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "python -m flows.audit_snapshot_protection",
        "Look which snapshots are protected from deletion, and what has changed since the last audit. "
        "Changes nothing. Exit status 0 only if every project could be read.",
    )
    parser.add_argument(
        "--grace-hours",
        type=float,
        default=0.0,
        metavar="HOURS",
        help="list unprotected snapshots younger than this, and do not count them (default: 0)",
    )
    parser.add_argument(
        "--fail-on-unprotected",
        action="store_true",
        help="exit status 1 if any snapshot that counts is unprotected",
    )
    return parser


def _parser(program: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument(
        "--project",
        action="append",
        default=[],
        metavar="NAME",
        help="the name of a credentials block; may be repeated; without it: every saved one",
    )
    parser.add_argument(
        "--label-selector",
        default="",
        metavar="SELECTOR",
        help="only snapshots with these labels, e.g. env=prod or protect!=no",
    )
    return parser
