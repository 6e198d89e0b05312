"""One project's part of an audit: load the baseline, list, compare, look for evidence."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._projects import run_isolated
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.unreadable_entries import UnreadableActionsError, UnreadableImagesError
from records.baselines import BaselineStore
from snapshot_protection.audit import (
    SnapshotFinding,
    compare_with_baseline,
    lacks_evidence,
    with_evidence,
)
from snapshot_protection.audit_history import AuditHistory
from snapshot_protection.audit_report import ProjectAudit
from snapshot_protection.unreadable import Listing
from snapshot_protection.wording import pluralize
from tasks.image_actions import list_image_actions
from tasks.images import list_images

_MAX_ACTIONS = 200  # four pages
_HISTORY_LOST_REPORTED = timedelta(days=7)


@dataclass(frozen=True)
class AuditOptions:
    """The options of each project's part of an audit.

    Attributes:
        baselines: Where the projects' baselines are stored.
        label_selector: Only snapshots with these labels; empty: all.
        grace_hours: Unprotected snapshots that are younger are not counted.
    """

    baselines: BaselineStore
    label_selector: str
    grace_hours: float


async def audit_project(project: Project, options: AuditOptions) -> ProjectAudit:
    """Audit a project's snapshots; whatever happens, it is reported and stops no other project."""
    return await run_isolated(
        project,
        lambda credentials: _audit(project, credentials, options),
        lambda error: ProjectAudit(project=project.name, error=error),
    )


async def _audit(
    project: Project, credentials: HetznerCloudCredentials, options: AuditOptions
) -> ProjectAudit:
    """Audit a project: the baseline is loaded first, so that all it knows is older than the listing."""
    name = project.name
    history = await options.baselines.load(name) if project.keeps_history else AuditHistory()
    listed = datetime.now(UTC)
    listing = await _list(name, credentials, options.label_selector)
    findings = compare_with_baseline(
        listing.snapshots,
        history.baseline,
        now=listed,
        grace_hours=options.grace_hours,
        has_entries_without_id=bool(listing.without_id),
    )
    findings, note = await _look_for_evidence(name, credentials, findings)
    notes = [note, _note_on(history)]
    audit = _project_audit(name, findings, history, listed, note="; ".join(filter(None, notes)))
    return audit.model_copy(update={"without_id": listing.without_id, "keeps_history": project.keeps_history})


async def _list(name: str, credentials: HetznerCloudCredentials, label_selector: str) -> Listing:
    listing = list_images.with_options(task_run_name=f"list-snapshots-{name}")
    try:
        return Listing(await listing(credentials, type="snapshot", label_selector=label_selector))
    except UnreadableImagesError as error:
        return Listing.of(error)


async def _look_for_evidence(
    name: str, credentials: HetznerCloudCredentials, findings: list[SnapshotFinding]
) -> tuple[list[SnapshotFinding], str]:
    if not any(lacks_evidence(finding) for finding in findings):
        return findings, ""
    listing = list_image_actions.with_options(task_run_name=f"list-image-actions-{name}")
    try:
        actions = await listing(credentials, sort="id:desc", limit=_MAX_ACTIONS)
    except UnreadableActionsError as error:
        return with_evidence(findings, error.actions), f"who lifted the protection may be missing: {error}"
    except HetznerCloudError as error:
        return findings, f"who removed the protection could not be looked up: {error}"
    return with_evidence(findings, actions), ""


def _note_on(history: AuditHistory) -> str:
    if not history.baseline or not history.unreadable:
        return ""
    unreadable = pluralize(history.unreadable, "version")
    compared_with = f"compared with that of {history.baseline.listed:%Y-%m-%d %H:%M} UTC"
    return f"{unreadable} of the baseline could not be read; {compared_with}"


def _project_audit(
    name: str, findings: list[SnapshotFinding], history: AuditHistory, listed: datetime, *, note: str
) -> ProjectAudit:
    before = history.baseline
    lost = before.history_lost if before else None
    is_recent = lost is not None and listed - lost < _HISTORY_LOST_REPORTED
    audit = ProjectAudit(
        project=name,
        findings=deque(findings),
        listed=listed,
        previous=before.listed if before else None,
        versions=history.versions,
        history_lost=listed if history.is_lost else lost if is_recent else None,
        note=note,
    )
    return audit.model_copy(update={"trend": (*(before.trend if before else ()), audit.coverage)})
