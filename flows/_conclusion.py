"""How every protection run ends: its report is logged and published, and decides the state."""

from prefect.states import Completed, Failed

from flows._projects import end, is_subflow_run, with_unpublished
from hetzner_cloud.sanitize import join_in_chunks
from reporting.artifacts import publish_report
from reporting.run_logging import run_logger
from snapshot_protection.protection_report import (
    ProtectionReport,
    SnapshotsNotProtectedError,
    describe,
    format_message,
)


async def finish_run(report: ProtectionReport) -> ProtectionReport:
    """End a run with its report: logged, published, and the state's data."""
    _say(report)
    unpublished = await publish_report(report, whole=not is_subflow_run())
    if report.succeeded:
        return end(Completed(message=with_unpublished(format_message(report), unpublished), data=report))
    error = SnapshotsNotProtectedError(report)
    return end(Failed(message=with_unpublished(str(error), unpublished), data=error))


def _say(report: ProtectionReport) -> None:
    """Log what became of each snapshot that was not protected before; several a line where all went well."""
    changed = [outcome for outcome in report.snapshots if outcome.outcome != "already_protected"]
    for outcome in changed:
        if outcome.message:
            say = run_logger().error if outcome.needs_attention else run_logger().info
            say("%s", describe(outcome))
    for line in join_in_chunks(describe(outcome) for outcome in changed if not outcome.message):
        run_logger().info("%s", line)
