"""What the tests of protection runs share: reading reports, and what a sandbox was requested."""

from collections import Counter
from collections.abc import Iterable

from sandbox import RequestRecord, Sandbox
from snapshot_protection.protection_report import ProtectionReport, SnapshotsNotProtectedError
from tests.support.flow_runs import Run


def unprotected(sandbox: Sandbox) -> set[int]:
    return {
        image["id"]
        for image in sandbox.images.values()
        if image["type"] == "snapshot" and not image["protection"]["delete"]
    }


def report_of(done: Run) -> ProtectionReport:
    assert isinstance(done.result, ProtectionReport | SnapshotsNotProtectedError)
    return done.result if isinstance(done.result, ProtectionReport) else done.result.report


def outcomes_of(done: Run) -> dict[int, str]:
    """One outcome for each snapshot, or the dictionary would be smaller than the report."""
    snapshots = report_of(done).snapshots
    outcomes: dict[int, str] = {outcome.image_id: outcome.outcome for outcome in snapshots}
    assert len(outcomes) == len(snapshots)
    return outcomes


def operations(requests: Iterable[RequestRecord]) -> Counter[str]:
    return Counter(record.operation for record in requests)
