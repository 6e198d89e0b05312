"""The events that automations can trigger on, see deploy/automation.py and docs/automations."""

from collections.abc import Sequence

from prefect.events import emit_event

from snapshot_protection.audit_report import AuditReport
from snapshot_protection.project_audit import ProjectAudit
from snapshot_protection.unprotect_report import UnprotectReport

UNPROTECTED = "hetzner-cloud.snapshots.unprotected"
PROTECTION_REMOVED = "hetzner-cloud.snapshots.protection-removed"
LEFT_UNPROTECTED = "hetzner-cloud.snapshots.left-unprotected"
MISSING = "hetzner-cloud.snapshots.missing"
AUDITED = "hetzner-cloud.snapshots.audited"
_MAX_IDS = 100


def emit_unprotected(project: ProjectAudit) -> None:
    """Emit that snapshots of a project are unprotected: how many, and at most 100 of their ids.

    Of the `newly_unprotected`, which were protected once, `since_last_audit` are in no earlier report. The
    resource's label `hetzner-cloud.news` is `no` for what notifications have reported in the same week.
    """
    unprotected = project.unprotected
    newly = [finding for finding in unprotected if finding.finding == "newly_unprotected"]
    _emit(
        UNPROTECTED,
        project.project,
        is_news=project.is_news(unprotected),
        payload={
            "count": len(unprotected),
            "newly_unprotected": len(newly),
            "since_last_audit": sum(finding.is_new for finding in newly),
            "image_ids": [finding.image_id for finding in unprotected[:_MAX_IDS]],
        },
    )


def emit_missing(project: ProjectAudit) -> None:
    """Emit that snapshots are missing that an audit has seen protected, as `emit_unprotected` does."""
    missing = project.missing_protected
    _emit(
        MISSING,
        project.project,
        is_news=project.is_news(missing),
        payload={
            "count": len(missing),
            "since_last_audit": sum(finding.is_new for finding in missing),
            "image_ids": [finding.image_id for finding in missing[:_MAX_IDS]],
        },
    )


def emit_audited(report: AuditReport) -> None:
    """Emit that an audit is complete: it could read all that its deployment covers, and has published it."""
    emit_event(
        AUDITED,
        resource={"prefect.resource.id": "hetzner-cloud.audit", "prefect.resource.name": "complete audit"},
        payload={"projects": len(report.distinct), "unprotected": report.unprotected},
    )


def emit_protection_removed(report: UnprotectReport) -> None:
    """Emit that a run removed protection: how many, at most 100 ids, why, and until when."""
    removed = [outcome.snapshot.image_id for outcome in report.unprotected]
    if removed:
        _emit(
            PROTECTION_REMOVED,
            report.plan.project,
            {
                "count": len(removed),
                "image_ids": removed[:_MAX_IDS],
                "reason": report.plan.reason,
                "approved_by": report.approved_by,
                "until": report.until.isoformat(),
            },
        )


def emit_left_unprotected(project: str, image_ids: Sequence[int], reason: str) -> None:
    """Emit that a run removed the protection of snapshots, neither deleted nor could protect them again."""
    _emit(
        LEFT_UNPROTECTED,
        project,
        {"count": len(image_ids), "image_ids": list(image_ids[:_MAX_IDS]), "reason": reason},
    )


def _emit(event: str, project: str, payload: dict[str, object], *, is_news: bool = True) -> None:
    resource = {
        "prefect.resource.id": f"hetzner-cloud.project.{project}",
        "prefect.resource.name": project,
        "hetzner-cloud.news": "yes" if is_news else "no",
    }
    emit_event(event, resource=resource, payload=payload)
