"""Running a flow from the shell: its report as a table, its final state as an exit status."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import httpx
from rich.console import Console
from rich.text import Text

from cli.tables import make_console
from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection.audit_report import AuditFailedError, AuditReport
from snapshot_protection.protection_report import ProtectionReport, SnapshotsNotProtectedError
from snapshot_protection.unprotect_report import SnapshotsNotUnprotectedError, UnprotectReport

Report = TypeVar("Report", ProtectionReport, AuditReport, UnprotectReport)

_INTERRUPTED = 130


def run_flow(
    flow_run: Coroutine[Any, Any, Report],
    print_table: Callable[[Report, Console], None],
    format_message: Callable[[Report], str],
) -> int:
    """Run a flow, and print its report.

    Returns:
        The exit status: 0 if the run is Completed, 130 if it was interrupted, else 1.
    """
    try:
        report = asyncio.run(flow_run)
    except (SnapshotsNotProtectedError, SnapshotsNotUnprotectedError, AuditFailedError) as error:
        print_table(cast("Report", error.report), make_console())
        return _fail(error)
    except HetznerCloudError as error:
        return _fail(error)
    except (RuntimeError, httpx.TransportError) as error:  # how Prefect reports that its server is missing
        if isinstance(error, RuntimeError) and "API" not in str(error):
            raise
        return _fail(f"the Prefect server: {error}. Is PREFECT_API_URL right, and the server running?")
    except KeyboardInterrupt:
        _fail("interrupted. The log names what was started. Run it again: what is protected costs nothing.")
        return _INTERRUPTED
    finally:
        _silence_exit_warnings()
    print_table(report, make_console())
    make_console().print(Text(f"Completed: {format_message(report)}", style="bold green"), soft_wrap=True)
    return 0


def _silence_exit_warnings() -> None:
    """At exit Prefect's workers warn of what they then do send, and a last heartbeat finds them stopped."""
    for name in ("APILogWorker", "EventsWorker", "prefect.events.utilities"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _fail(error: HetznerCloudError | str) -> int:
    make_console(stderr=True).print(Text(f"Failed: {error}", style="bold red"), soft_wrap=True)
    return 1
