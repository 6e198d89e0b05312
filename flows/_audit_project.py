"""One project's part of an audit: load the baseline, list, compare, look for evidence."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._projects import run_isolated
from flows._shared_read import SharedRead
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.models import Image
from hetzner_cloud.unreadable_entries import UnreadableActionsError, UnreadableImagesError
from records.baselines import BaselineStore
from records.exemptions import StoredExemptions, latest_end, read_exemptions
from records.pruned_snapshots import load_perhaps_pruned
from snapshot_protection.audit import compare_with_baseline
from snapshot_protection.audit_baseline import AuditBaseline, changed_policy, with_policy
from snapshot_protection.audit_evidence import lacks_evidence, with_evidence
from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.audit_history import AuditHistory
from snapshot_protection.audit_requirements import AuditRequirements
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.project_audit import ProjectAudit
from snapshot_protection.unreadable import Listing
from snapshot_protection.wording import pluralize
from tasks.image_actions import list_image_actions
from tasks.images import list_images

_MAX_ACTIONS = 200  # four pages
_MAX_CONCURRENT_REQUESTS = 50
_EXPIRED_DAYS = 30
_HISTORY_LOST_REPORTED = timedelta(days=7)


@dataclass(frozen=True)
class AuditOptions:
    """The options of each project's part of an audit.

    Attributes:
        baselines: Where the projects' baselines are stored.
        label_selector: Only snapshots with these labels; empty: all.
        grace_hours: Unprotected snapshots that are younger are not counted.
        policy: Which snapshots must be protected.
        policy_name: The name that the audit was given; `policy` has another if none of that name is saved.
        exemptions: Reads the exemptions of all projects.
    """

    baselines: BaselineStore
    label_selector: str
    grace_hours: float
    policy: NamedPolicy
    policy_name: str
    exemptions: SharedRead[StoredExemptions]
    limiter: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, _MAX_CONCURRENT_REQUESTS))

    async def load_requirements(self, project: str, last_listed: datetime | None) -> AuditRequirements:
        """Load what is required of a project's snapshots now, and what was pruned.

        Args:
            project: The project.
            last_listed: When those that are missing now were listed; None if none is.

        Raises:
            UnreadableExemptionsError: Which snapshots are exempt is unknown.
        """
        stored = await self.exemptions()
        exemptions = stored.under(project).of(project, latest=latest_end(datetime.now(UTC)))
        async with self.limiter:
            pruned = await load_perhaps_pruned(project, last_listed) if last_listed else {}
        return AuditRequirements(project, self.policy, self.policy_name, exemptions, pruned)


def read_together(projects: Iterable[Project]) -> SharedRead[StoredExemptions]:
    """Return what reads the exemptions of all these projects at once, also those that expired lately."""
    names = [project.name for project in projects]
    return SharedRead(lambda: read_exemptions(names, now=datetime.now(UTC), expired_days=_EXPIRED_DAYS))


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
    """Audit a project.

    The baseline is loaded before the listing, so all it knows is older; the exemptions after it: whatever is
    unprotected by approval has been recorded before.
    """
    name = project.name
    history = await options.baselines.load(name) if project.keeps_history else AuditHistory()
    listed = datetime.now(UTC)
    listing = await _list(name, credentials, options.label_selector)
    requirements = await options.load_requirements(name, _last_listed(history, listing))
    findings = compare_with_baseline(
        listing.snapshots,
        history.baseline,
        now=listed,
        grace_hours=options.grace_hours,
        requirements=requirements,
        has_entries_without_id=bool(listing.without_id),
    )
    findings, note = await _look_for_evidence(name, credentials, findings)
    notes = [note, _note_on(history)]
    audit = _project_audit(name, findings, history, listed, note="; ".join(filter(None, notes)))
    return audit.model_copy(
        update={
            "without_id": listing.without_id,
            "keeps_history": project.keeps_history,
            **_policy_fields(requirements, history.baseline, listing, listed),
        }
    )


def _last_listed(history: AuditHistory, listing: Listing) -> datetime | None:
    """Return when earlier audits have listed what is not listed now; None if nothing is missing."""
    before = history.baseline
    if before is None or before.snapshots.keys() <= {one.id for one in listing.snapshots}:
        return None
    return before.listed


def _policy_fields(
    requirements: AuditRequirements, before: AuditBaseline | None, listing: Listing, listed: datetime
) -> dict[str, Any]:
    version = requirements.version(listed)
    images = [
        one for one in listing.snapshots if isinstance(one, Image) and one.is_snapshot and not one.deleted
    ]
    return {
        "policies": with_policy(before.policies if before else {}, requirements.policy_key, version),
        "policy_before": changed_policy(before, version),
        "unmatched": requirements.count_unmatched(images),
    }


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
        return with_evidence(findings, error.actions), f"who removed the protection may be missing: {error}"
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
