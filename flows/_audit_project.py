"""One project's part of an audit: load the baseline, list, compare, look for evidence."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._projects import run_isolated
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.unreadable_entries import UnreadableActionsError, UnreadableImagesError
from records.baselines import load_baseline
from snapshot_protection.audit import SnapshotFinding, compare_with_baseline, with_evidence
from snapshot_protection.audit_baseline import AuditBaseline
from snapshot_protection.audit_report import ProjectAudit
from snapshot_protection.unreadable import Listing
from tasks.image_actions import list_image_actions
from tasks.images import list_images

_MAX_ACTIONS = 200  # four pages


@dataclass(frozen=True)
class AuditOptions:
    """The options of each project's part of an audit.

    Attributes:
        now: When the audit began.
        label_selector: Only snapshots with these labels; empty: all.
        grace_hours: Unprotected snapshots that are younger are not counted.
    """

    now: datetime
    label_selector: str
    grace_hours: float


async def audit_project(project: Project, options: AuditOptions) -> ProjectAudit:
    """Audit a project's snapshots; whatever happens, it is reported and stops no other project."""
    return await run_isolated(
        project,
        lambda credentials: _audit(project.name, credentials, options),
        lambda error: ProjectAudit(project=project.name, error=error),
    )


async def _audit(name: str, credentials: HetznerCloudCredentials, options: AuditOptions) -> ProjectAudit:
    before = await load_baseline(name, options.label_selector)
    listing = await _list(name, credentials, options.label_selector)
    findings = compare_with_baseline(
        listing.snapshots,
        before,
        now=options.now,
        grace_hours=options.grace_hours,
        has_entries_without_id=bool(listing.without_id),
    )
    findings, note = await _look_for_evidence(name, credentials, findings)
    audit = _project_audit(name, findings, before, note)
    return audit.model_copy(update={"without_id": listing.without_id})


async def _list(name: str, credentials: HetznerCloudCredentials, label_selector: str) -> Listing:
    listing = list_images.with_options(task_run_name=f"list-snapshots-{name}")
    try:
        return Listing(await listing(credentials, type="snapshot", label_selector=label_selector))
    except UnreadableImagesError as error:
        return Listing.of(error)


async def _look_for_evidence(
    name: str, credentials: HetznerCloudCredentials, findings: list[SnapshotFinding]
) -> tuple[list[SnapshotFinding], str]:
    if not any(finding.protection_removed for finding in findings):
        return findings, ""
    listing = list_image_actions.with_options(task_run_name=f"list-image-actions-{name}")
    try:
        actions = await listing(credentials, sort="id:desc", limit=_MAX_ACTIONS)
    except UnreadableActionsError as error:
        return with_evidence(findings, error.actions), f"who lifted the protection may be missing: {error}"
    except HetznerCloudError as error:
        return findings, f"who lifted the protection could not be looked up: {error}"
    return with_evidence(findings, actions), ""


def _project_audit(
    name: str, findings: list[SnapshotFinding], before: AuditBaseline | None, note: str
) -> ProjectAudit:
    audit = ProjectAudit(
        project=name,
        findings=deque(findings),
        previous=before.audited if before else None,
        note=note,
    )
    return audit.model_copy(update={"trend": (*(before.trend if before else ()), audit.coverage)})
