"""What the tests of audits share."""

from typing import Any

from flows.audit_snapshot_protection import audit_snapshot_protection
from snapshot_protection.audit_report import AuditFailedError, AuditReport
from tests.support.flow_runs import Run, run


async def audit(*projects: str, **parameters: Any) -> Run:
    return await run(audit_snapshot_protection, projects=list(projects), **parameters)


def report_of(done: Run) -> AuditReport:
    assert isinstance(done.result, AuditReport | AuditFailedError)
    return done.result if isinstance(done.result, AuditReport) else done.result.report
