"""Audit reports made of a few findings."""

from datetime import UTC, datetime, timedelta
from typing import Any

from snapshot_protection.audit_finding import FindingName, SnapshotFinding
from snapshot_protection.audit_report import AuditReport
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.project_audit import ProjectAudit

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)
EVIDENCE = "action 8 of 2026-11-24 22:15:00 UTC"
DEAD = ProjectAudit(project="dead", error=ErrorInfo(code="unreachable", message="it cannot be reached"))
_PROTECTED = {"protected", "new", "newly_protected", "missing_protected"}


def finding(image_id: int, name: FindingName = "protected", **fields: Any) -> SnapshotFinding:
    known = {"description": f"snapshot {image_id}", "size": 2.5, "created": NOW - timedelta(days=3)}
    return SnapshotFinding.model_validate(
        known | fields | {"image_id": image_id, "finding": name, "protected": name in _PROTECTED}
    )


def project(*findings: SnapshotFinding, name: str = "prod", **fields: Any) -> ProjectAudit:
    return ProjectAudit(project=name, findings=findings, **fields)


def report(*projects: ProjectAudit, **fields: Any) -> AuditReport:
    return AuditReport(audited=NOW, projects=projects, **fields)


REMOVED = finding(7, "newly_unprotected", evidence=EVIDENCE, since=NOW, is_new=True)
EARLIER = finding(8, "newly_unprotected", since=YESTERDAY)
