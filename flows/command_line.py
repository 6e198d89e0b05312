"""The flows from the shell: the same parameters, the outcome as a table, and an exit status."""

import argparse
import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.report import (
    COLUMNS,
    MAX_TABLE_ROWS,
    ProtectionReport,
    SnapshotsNotProtectedError,
    message_of,
    rank,
    row_of,
)

_INTERRUPTED = 130
_UNBROKEN = 1_000  # columns
_COLOURS = {
    "protected": "green",
    "already_protected": "dim",
    "would_protect": "cyan",
    "gone": "yellow",
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
    options = _parser().parse_args(arguments)
    try:
        report = asyncio.run(
            flow(
                projects=options.project,
                label_selector=options.label_selector,
                dry_run=options.dry_run,
                timeout_seconds=options.timeout_seconds,
            )
        )
    except SnapshotsNotProtectedError as error:
        print_report(error.report, _console())
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
    print_report(report, _console())
    _console().print(Text(f"Completed: {message_of(report)}", style="bold green"))
    return 0


def _end_quietly() -> None:
    """At exit Prefect's workers warn of what they then do send, and a last heartbeat finds them stopped."""
    for name in ("APILogWorker", "EventsWorker", "prefect.events.utilities"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def print_report(report: ProtectionReport, console: Console) -> None:
    """Print a run's outcomes as a table, those that need a person last, where they are seen."""
    outcomes = sorted(report.snapshots, key=lambda outcome: -rank(outcome.outcome))
    rows = [row_of(outcome) for outcome in outcomes[-MAX_TABLE_ROWS:]]
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        if any(row[name] for row in rows):
            table.add_column(name, overflow="fold", no_wrap=name in {"snapshot", "action", "outcome"})
    for row in rows:
        cells = (Text(str(row[str(column.header)])) for column in table.columns)
        table.add_row(*cells, style=_COLOURS[str(row["outcome"])])
    console.print(table)


def _fail(error: HetznerCloudError | str) -> int:
    _console(stderr=True).print(Text(f"Failed: {error}", style="bold red"), soft_wrap=True)
    return 1


def _console(*, stderr: bool = False) -> Console:
    """In a file or a pipe a row stays on one line, so that it can be searched."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_UNBROKEN)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.protect_snapshots",
        description="Protect every snapshot from deletion, wait for each resulting action, and verify. "
        "Exit status 0 only if nothing failed and nothing is unfinished.",
    )
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
    parser.add_argument("--dry-run", action="store_true", help="only report what would be protected")
    parser.add_argument(
        "--timeout-seconds",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="how long to wait for the actions after the last one was started (default: 900)",
    )
    return parser
