"""How runs finish: the report is logged and published, and decides the state."""

from prefect.states import Completed, Failed

from flows._run_context import is_subflow_run, returned_state
from reporting.artifacts import publish, publishing_error
from reporting.run_logging import log_report
from snapshot_protection.protection_report import ProtectionReport, SnapshotsNotProtectedError
from snapshot_protection.rendering import render_protection_report


async def finish_run(report: ProtectionReport) -> ProtectionReport:
    """Finish a protection run with its report: logged, published, and the state's data."""
    rendered = render_protection_report(report, is_whole=not is_subflow_run())
    log_report(rendered)
    message = with_unpublished(rendered.message, await publishing_error(publish(rendered)))
    if report.succeeded:
        return returned_state(Completed(message=message, data=report))
    return returned_state(Failed(message=message, data=SnapshotsNotProtectedError(report)))


def with_unpublished(message: str, reason: str) -> str:
    """Append to a final state's message why the report could not be published; nothing if it was."""
    return f"{message.removesuffix('.')}. The report could not be published: {reason}" if reason else message
