"""One project's part of an audit: recall, list, compare, look for who did it."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows.runs import run_project
from hetzner_cloud.audit import SnapshotFinding, find, with_evidence
from hetzner_cloud.audit_memory import AuditMemory
from hetzner_cloud.audit_report import ProjectAudit
from hetzner_cloud.errors import HetznerCloudError
from tasks.audit_artifacts import recall
from tasks.image_actions import list_image_actions
from tasks.images import list_images

_MOST_ACTIONS = 200  # four pages


@dataclass(frozen=True)
class Scope:
    """What is asked of each project's part of an audit.

    Attributes:
        now: When the audit began.
        label_selector: Only snapshots with these labels; empty: all.
        grace_hours: Unprotected snapshots that are younger do not count.
    """

    now: datetime
    label_selector: str
    grace_hours: float


async def audit_project(project: Project, scope: Scope) -> ProjectAudit:
    """Audit a project's snapshots; whatever happens, it is reported and stops no other project."""
    return await run_project(
        project,
        lambda credentials: _audit(project.name, credentials, scope),
        lambda trouble: ProjectAudit(project=project.name, trouble=trouble),
    )


async def _audit(name: str, credentials: HetznerCloudCredentials, scope: Scope) -> ProjectAudit:
    before = await recall(name, scope.label_selector)
    listing = list_images.with_options(task_run_name=f"list-snapshots-of-{name}")
    images = await listing(credentials, type="snapshot", label_selector=scope.label_selector)
    findings = find(images, before, now=scope.now, grace_hours=scope.grace_hours)
    findings, remark = await _look_for_evidence(name, credentials, findings)
    return _project_audit(name, findings, before, remark)


async def _look_for_evidence(
    name: str, credentials: HetznerCloudCredentials, findings: list[SnapshotFinding]
) -> tuple[list[SnapshotFinding], str]:
    if not any(finding.is_lifted for finding in findings):
        return findings, ""
    listing = list_image_actions.with_options(task_run_name=f"list-image-actions-of-{name}")
    try:
        actions = await listing(credentials, sort="id:desc", limit=_MOST_ACTIONS)
    except HetznerCloudError as error:
        return findings, f"who lifted the protection could not be looked up: {error}"
    return with_evidence(findings, actions), ""


def _project_audit(
    name: str, findings: list[SnapshotFinding], before: AuditMemory | None, remark: str
) -> ProjectAudit:
    audit = ProjectAudit(
        project=name,
        findings=deque(findings),
        previous=before.audited if before else None,
        remark=remark,
    )
    return audit.model_copy(update={"trend": (*(before.trend if before else ()), audit.count)})
