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
from snapshot_protection.prune_check import find_obstacle, find_obstacle_by_name
from snapshot_protection.prune_outcomes import PruneOutcomeName
from snapshot_protection.prune_plan import PlannedDeletion, PrunePlan
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.retention import ProjectLists

_MAX_BESIDE = 5


@dataclass(frozen=True)
class Ended:
    """The outcome of one snapshot.

    Attributes:
        error: Why, for all that is not pruned.
    """

    outcome: PruneOutcomeName
    error: ErrorInfo | None = None

    @property
    def reason(self) -> str:
        """Why, in a sentence; the outcome's name if that says all."""
        return self.error.message if self.error else self.outcome


@dataclass(frozen=True)
class Applying:
    """What all snapshots of a project have in common while a plan is applied.

    Attributes:
        plan: What was approved, without what is no longer planned.
        quarantine: As this run has recorded it.
        also_named: The projects of the run that are the same one: what their rules keep is kept.
    """

    project: str
    credentials: HetznerCloudCredentials
    plan: PrunePlan
    quarantine: Quarantine
    options: PruneOptions
    flow_run_id: UUID
    lock: PruneLock
    record: ProgressRecord
    also_named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A snapshot that may be deleted.

    Attributes:
        image: As it is listed now.
        beside: The newest other snapshots of its project, a few.
    """

    image: Image
    beside: tuple[int, ...]

    @classmethod
    def of(cls, image_id: int, lists: ProjectLists) -> "Judged":
        """Make it of the lists that it was judged by."""
        images = [one for one in lists.snapshots.snapshots if isinstance(one, Image)]
        others = sorted((one.id for one in images if one.id != image_id), reverse=True)
        return cls(next(one for one in images if one.id == image_id), tuple(others[:_MAX_BESIDE]))


async def judge_again(applying: Applying, planned: PlannedDeletion) -> Judged | Ended:
    """Return a snapshot that may be deleted as it is now, or what becomes of it instead.

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
    for name in applying.also_named:
        obstacle = obstacle or find_obstacle_by_name(planned, lists, requirements, name, options.clock())
    if obstacle:
        return Ended(obstacle.outcome, ErrorInfo(message=obstacle.reason))
    return Judged.of(planned.image_id, lists)
