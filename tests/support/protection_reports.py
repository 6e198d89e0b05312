"""Protection reports as the tests of what is shown need them."""

from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import OutcomeName, SnapshotOutcome
from snapshot_protection.protection_report import ProjectReport, ProtectionReport
from snapshot_protection.reported_policy import ReportedPolicy


def outcome(image_id: int, name: OutcomeName = "protected", **fields: object) -> SnapshotOutcome:
    known = {"project": "prod", "description": f"snapshot {image_id}", "server": ""} | fields
    return SnapshotOutcome.model_validate(known | {"image_id": image_id, "outcome": name})


def report(
    *outcomes: SnapshotOutcome,
    dry_run: bool = False,
    inaccessible: ErrorInfo | None = None,
    policy: ReportedPolicy | None = None,
) -> ProtectionReport:
    projects = [ProjectReport(project="prod", snapshots=outcomes, policy=policy)]
    projects += [ProjectReport(project="dead", error=inaccessible)] if inaccessible else []
    return ProtectionReport(dry_run=dry_run, projects=tuple(projects))


FAILED = outcome(
    7, "failed", code="action_failed", message="its action failed", correlation_id="c0ffee", action_id=42
)
