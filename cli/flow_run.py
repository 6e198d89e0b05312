"""Running a flow from the shell: its report as a table, its final state as an exit status."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeVar, cast

import httpx
from prefect.exceptions import PrefectHTTPStatusError
from rich.console import Console
from rich.text import Text

from cli.endings import CommandFailedError, exit_status_of
from cli.json_output import print_json
from cli.tables import make_console, print_failure
from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection.audit_report import AuditFailedError, AuditReport
from snapshot_protection.protection_report import ProtectionReport, SnapshotsNotProtectedError
from snapshot_protection.prune_report import PruneReport, SnapshotsNotPrunedError
from snapshot_protection.unprotect_report import SnapshotsNotUnprotectedError, UnprotectReport

Report = TypeVar("Report", ProtectionReport, AuditReport, UnprotectReport, PruneReport)
_FAILURES = (
    SnapshotsNotProtectedError,
    SnapshotsNotUnprotectedError,
    SnapshotsNotPrunedError,
    AuditFailedError,
)


def run_flow(
    flow_run: Coroutine[Any, Any, Report],
    print_table: Callable[[Report, Console], None],
    format_message: Callable[[Report], str],
    *,
    as_json: bool = False,
) -> int:
    """Run a flow, and print its report.

    Args:
        flow_run: The flow, called.
        print_table: Prints the report as a table.
        format_message: Formats the result in one line.
        as_json: Whether to print the report as JSON in place of all that.

    Returns:
        The exit status: 0 if the run is Completed, 130 or 143 if it was interrupted by a signal, else 1.
    """
    try:
        report = _run_to_end(flow_run)
    except _FAILURES as error:
        failed = cast("Report", error.report)
        if as_json:
            _print_report(failed, str(error), succeeded=False)
        else:
            print_table(failed, make_console())
        return print_failure(error)
    except HetznerCloudError as error:
        return print_failure(error, as_json=as_json)
    except (RuntimeError, httpx.TransportError, PrefectHTTPStatusError) as error:
        if isinstance(error, RuntimeError) and "API" not in str(error):
            raise
        raise CommandFailedError(_describe_loss(error)) from None
    except KeyboardInterrupt as error:
        print_failure(
            "interrupted. The log names the actions that were started. Run it again; protected snapshots "
            "are skipped."
        )
        return exit_status_of(error)
    if as_json:
        _print_report(report, format_message(report), succeeded=True)
        return 0
    print_table(report, make_console())
    name = getattr(report, "state_name", "Completed")
    style = "bold green" if name == "Completed" else "bold yellow"
    make_console().print(Text(f"{name}: {format_message(report)}", style=style), soft_wrap=True)
    return 0


def _print_report(report: Report, message: str, *, succeeded: bool) -> None:
    print_json(succeeded=succeeded, message=message, fields={"report": report.model_dump(mode="json")})


def _run_to_end(flow_run: Coroutine[Any, Any, Report]) -> Report:
    """Run a flow in a thread of its own; a signal cancels it, and is raised when it has ended.

    A signal's handler runs in the main thread, wherever that is. If it raises in an event loop, a callback
    can be lost, and with it a task, for whose end the loop then waits forever. A second signal waits for
    nothing.
    """
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
    done: Future[Report] = Future()

    async def follow() -> Report:
        task = asyncio.current_task()
        started.set_result((asyncio.get_running_loop(), cast("asyncio.Task[Any]", task)))
        return await flow_run

    def run() -> None:
        try:
            done.set_result(asyncio.run(follow()))
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            done.set_exception(error)

    thread = Thread(target=copy_context().run, args=(run,), name="flow", daemon=True)
    try:
        thread.start()
        return done.result()
    except KeyboardInterrupt:
        if thread.is_alive():
            loop, task = started.result()
            with suppress(RuntimeError):  # the loop is closed: it has just ended
                loop.call_soon_threadsafe(task.cancel)
            wait([done])
        raise


def _describe_loss(error: Exception) -> str:
    """It responded before the run: what is lost is the connection."""
    status = f" {error.response.status_code}" if isinstance(error, PrefectHTTPStatusError) else ""
    return (
        f"the Prefect server stopped responding correctly ({type(error).__name__}{status}). Is the "
        "one at PREFECT_API_URL running? Run it again; protected snapshots are skipped."
    )
