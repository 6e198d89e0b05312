"""How every protection run ends: its report is logged and published, and decides the state."""

from prefect.states import Completed, Failed

from flows.runs import end, is_part_of_a_run, with_unpublished
from hetzner_cloud.report import ProtectionReport, SnapshotsNotProtectedError, describe, message_of
from hetzner_cloud.text import in_lines
from tasks.artifacts import publish_report
from tasks.run_log import run_logger


async def conclude(report: ProtectionReport) -> ProtectionReport:
    """End a run with its report: logged, published, and the state's data."""
    _say(report)
    unpublished = await publish_report(report, whole=not is_part_of_a_run())
    if report.succeeded:
        return end(Completed(message=with_unpublished(message_of(report), unpublished), data=report))
    error = SnapshotsNotProtectedError(report)
    return end(Failed(message=with_unpublished(str(error), unpublished), data=error))


def _say(report: ProtectionReport) -> None:
    """Log what became of each snapshot that was not protected before; several a line where all went well."""
    changed = [outcome for outcome in report.snapshots if outcome.outcome != "already_protected"]
    for outcome in changed:
        if outcome.message:
            say = run_logger().error if outcome.is_trouble else run_logger().info
            say("%s", describe(outcome))
    for line in in_lines(describe(outcome) for outcome in changed if not outcome.message):
        run_logger().info("%s", line)
