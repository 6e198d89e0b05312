"""Whether a snapshot of an approved plan may be deleted: everything is read again, right before it is."""

from dataclasses import dataclass
from uuid import UUID

from blocks.credentials import HetznerCloudCredentials
from flows._observe_project import PruneOptions, read_lists
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.models import Image
from records.prune_locks import PruneLock
from records.prune_progress import ProgressRecord
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_check import find_obstacle
from snapshot_protection.prune_outcomes import PruneOutcomeName
from snapshot_protection.prune_plan import PlannedDeletion, PrunePlan
from snapshot_protection.quarantine import Quarantine


@dataclass(frozen=True)
class Ended:
    """What became of one snapshot.

    Attributes:
        error: Why, for all that is not pruned.
    """

    outcome: PruneOutcomeName
    error: ErrorInfo | None = None


@dataclass(frozen=True)
class Applying:
    """What all snapshots of a project have in common while a plan is applied.

    Attributes:
        plan: What was approved, without what is no longer planned.
        quarantine: As this run has recorded it.
    """

    project: str
    credentials: HetznerCloudCredentials
    plan: PrunePlan
    quarantine: Quarantine
    options: PruneOptions
    flow_run_id: UUID
    lock: PruneLock
    record: ProgressRecord


async def judge_again(applying: Applying, planned: PlannedDeletion) -> Image | Ended:
    """Return a snapshot as it is listed now; what becomes of it instead if it must not be deleted.

    Raises:
        HetznerCloudError: Something could not be read, so that is unknown.
    """
    options = applying.options
    lists = await read_lists(applying.credentials, applying.project)
    endpoint = normalize_endpoint(applying.credentials.endpoint)
    requirements = await options.requirements.read_again(applying.project, endpoint)
    obstacle = find_obstacle(
        planned, applying.plan, lists, requirements, applying.quarantine, options.clock()
    )
    if obstacle:
        return Ended(obstacle.outcome, ErrorInfo(message=obstacle.reason))
    listed = (one for one in lists.snapshots.snapshots if one.id == planned.image_id)
    return next(one for one in listed if isinstance(one, Image))
