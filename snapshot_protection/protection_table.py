"""A protection run's table: a row for each snapshot. Pure functions of its report."""

from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import SnapshotOutcome
from snapshot_protection.protection_report import ProjectReport, ProtectionReport

COLUMNS = (
    "project",
    "snapshot",
    "outcome",
    "code",
    "action",
    "message",
    "description",
    "server",
    "correlation id",
)
MAX_TABLE_ROWS = 2_000


def build_table(report: ProtectionReport) -> list[dict[str, str | int]]:
    """Make the rows of the table, one for each snapshot, the most severe first, 2,000 at most."""
    rows = [_error_row(project, project.error or ErrorInfo()) for project in report.inaccessible]
    rows += [_error_row(project, error) for project, error in report.without_id[:MAX_TABLE_ROWS]]
    rows += [build_row(outcome) for outcome in report.snapshots[:MAX_TABLE_ROWS]]
    return rows


def build_row(outcome: SnapshotOutcome) -> dict[str, str | int]:
    """Make the table's row for an outcome; the keys are the columns."""
    cells = (
        outcome.project,
        outcome.image_id,
        outcome.outcome,
        outcome.code,
        outcome.action_id if outcome.action_id is not None else "",
        outcome.message,
        outcome.description,
        outcome.server,
        outcome.correlation_id,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _error_row(project: ProjectReport, error: ErrorInfo) -> dict[str, str | int]:
    known: dict[str, str | int] = {
        "project": project.project,
        "outcome": "failed",
        "code": error.code,
        "message": error.message,
        "correlation id": error.correlation_id,
    }
    return {name: known.get(name, "") for name in COLUMNS}
