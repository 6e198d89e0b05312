"""Whether a snapshot of an approved plan may still be deleted, checked right before it is. Pure.

All of it is made of what was read just now: another user may have deleted its newer sibling since.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from hetzner_cloud.models import Image
from snapshot_protection.prune_outcomes import PruneOutcomeName, kept_outcome
from snapshot_protection.prune_plan import PlannedDeletion, PrunePlan, changed_fields, plan_deletion
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.requirements import Requirements
from snapshot_protection.retention import ProjectLists, Retention, apply_retention


@dataclass(frozen=True)
class Obstacle:
    """Why an approved snapshot must not be deleted now, and what its outcome is therefore."""

    outcome: PruneOutcomeName
    reason: str


def find_obstacle(
    approved: PlannedDeletion,
    plan: PrunePlan,
    lists: ProjectLists,
    requirements: Requirements,
    quarantine: Quarantine,
    now: datetime,
) -> Obstacle | None:
    """Return why a snapshot must not be deleted now; None if it is still due and unchanged.

    Args:
        approved: The snapshot, as it was approved.
        plan: The approved plan.
        lists: The project's snapshots and servers, listed after the last deletion.
        requirements: The project's policy and exemptions, as they are now.
        quarantine: The project's record, of this run's observation.
        now: In UTC.
    """
    if approved not in plan.snapshots or approved.project != requirements.project:
        return Obstacle("kept", "it was not approved")
    if requirements.policy.digest != plan.policy_digest:
        return Obstacle("kept", "the policy changed since it was approved")
    if (quarantine.project, quarantine.policy) != (approved.project, plan.policy):
        return Obstacle("quarantined", "its quarantine record is of another project or policy")
    retention = apply_retention(lists, requirements, now)
    return _find_in_retention(approved, retention) or _find_in_time(approved, plan, quarantine, now)


def find_obstacle_by_name(
    approved: PlannedDeletion, lists: ProjectLists, requirements: Requirements, name: str, now: datetime
) -> Obstacle | None:
    """Return whether the rules for another name of the same project keep it; None if they do not."""
    verdict = apply_retention(lists, replace(requirements, project=name), now).verdicts[approved.image_id]
    if verdict.is_candidate:
        return None
    return Obstacle("kept", f"project '{name}', which is the same one, keeps it: {verdict.kept_by}")


def _find_in_retention(approved: PlannedDeletion, retention: Retention) -> Obstacle | None:
    verdict = retention.verdicts.get(approved.image_id)
    if verdict is None:
        return Obstacle("deleted", "it is no longer listed")
    if kept := kept_outcome(verdict):
        return Obstacle(kept, verdict.kept_by)
    if not isinstance(verdict.snapshot, Image) or not retention.newer_of_group(approved.image_id):
        return Obstacle("kept", "no newer snapshot of its group would remain")
    if changed := changed_fields(approved, plan_deletion(retention, verdict.snapshot)):
        return Obstacle("kept", f"changed since it was approved: other {', '.join(changed)}")
    return None


def _find_in_time(
    approved: PlannedDeletion, plan: PrunePlan, quarantine: Quarantine, now: datetime
) -> Obstacle | None:
    if quarantine.is_due(approved.image_id, plan.quarantine_days, now):
        return None
    return Obstacle("quarantined", "its quarantine is not over")
