"""The flows from the shell: the same parameters, the outcome as a table, and an exit status."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.report import ProtectionReport, SnapshotsNotProtectedError, message_of, table_of

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
        The exit status: 0 if the run is Completed, else 1.
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
        print_report(error.report, Console())
        Console(stderr=True, style="bold red").print(Text(f"Failed: {error}"))
        return 1
    except HetznerCloudError as error:
        Console(stderr=True, style="bold red").print(Text(f"Failed: {error}"))
        return 1
    print_report(report, Console())
    Console(style="bold green").print(Text(f"Completed: {message_of(report)}"))
    return 0


def print_report(report: ProtectionReport, console: Console) -> None:
    """Print a run's outcomes as a table, those that need a person last, where they are seen."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("project", "snapshot", "description", "outcome", "action", "what happened"):
        table.add_column(column, overflow="fold", no_wrap=column in {"snapshot", "action", "outcome"})
    for row in reversed(table_of(report)):
        why = f"{row['message']} ({row['code']})" if row["code"] else str(row["message"])
        cells = (row["project"], row["snapshot"], row["description"], row["outcome"], row["action"], why)
        table.add_row(*(Text(str(cell)) for cell in cells), style=_COLOURS[str(row["outcome"])])
    console.print(table)


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
