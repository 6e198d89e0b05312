"""The event that automations can trigger on, see deploy/automation.py."""

from prefect.events import emit_event

from snapshot_protection.audit_report import ProjectAudit

UNPROTECTED = "hetzner-cloud.snapshots.unprotected"
_MAX_IDS = 100


def emit_unprotected(project: ProjectAudit) -> None:
    """Emit that snapshots of a project are unprotected: how many, and at most 100 of their ids.

    Of the `newly_unprotected`, which were protected once, `since_last_audit` are in no earlier report.
    """
    unprotected = project.unprotected
    newly = [finding for finding in unprotected if finding.finding == "newly_unprotected"]
    emit_event(
        UNPROTECTED,
        resource={
            "prefect.resource.id": f"hetzner-cloud.project.{project.project}",
            "prefect.resource.name": project.project,
        },
        payload={
            "count": len(unprotected),
            "newly_unprotected": len(newly),
            "since_last_audit": sum(finding.is_new for finding in newly),
            "image_ids": [finding.image_id for finding in unprotected[:_MAX_IDS]],
        },
    )
