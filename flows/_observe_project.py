"""One project's part of a prune run before any change: list, decide, record the quarantine, plan."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from blocks.snapshot_policy import DEFAULT
from flows._projects import for_each_project, run_isolated
from flows._prune_observation import Observation, join_names
from flows._requirements import RunRequirements
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.errors import HetznerCloudError, InvalidResponseError
from hetzner_cloud.unreadable_entries import UnreadableImagesError
from records.quarantines import load_quarantine_history, save_quarantine
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.policy import BUILT_IN
from snapshot_protection.prune_outcomes import planned_outcomes
from snapshot_protection.prune_plan import PruneLimits, plan_due
from snapshot_protection.quarantine_format import QuarantineHistory
from snapshot_protection.requirements import Requirements
from snapshot_protection.retention import ProjectLists, apply_retention
from snapshot_protection.unreadable import Listing
from tasks.images import list_images
from tasks.prices import list_prices
from tasks.servers import list_servers


@dataclass(frozen=True)
class PruneOptions:
    """What is asked of each project's part of a run.

    Attributes:
        timeout_seconds: Bound of each wait for an action.
    """

    requirements: RunRequirements
    limits: PruneLimits
    dry_run: bool
    timeout_seconds: float

    @property
    def policy_name(self) -> str:
        """The name of the run's policy; where it is not saved, the name under which it would be.

        So a run without it is one in which nothing was a candidate by the policy of that name.
        """
        name = self.requirements.policy.name
        return DEFAULT if name == BUILT_IN else name

    def clock(self) -> datetime:
        """Return the time, in UTC."""
        return self.requirements.clock()


async def observe_projects(projects: Iterable[Project], options: PruneOptions) -> list[Observation]:
    """Observe all projects; of those that are the same one, by two tokens, only one is planned."""
    observed = await for_each_project(list(projects), lambda project: _observe(project, options))
    return list(join_names(observed))


async def read_lists(credentials: HetznerCloudCredentials, name: str) -> ProjectLists:
    """List a project's snapshots and servers.

    Raises:
        HetznerCloudError: One of the lists could not be read, so the project must be kept whole.
    """
    list_them = list_images.with_options(task_run_name=f"list-snapshots-{name}")
    try:
        listing = Listing(await list_them(credentials, type="snapshot"))
    except UnreadableImagesError as error:
        listing = Listing.of(error)
    if listing.without_id:
        raise InvalidResponseError(
            f"An entry of its list of snapshots {listing.without_id[0].message}, so all are kept",
            listing.without_id[0].code,
        )
    servers = await list_servers.with_options(task_run_name=f"list-servers-{name}")(credentials)
    return ProjectLists.of(listing, servers)


async def _observe(project: Project, options: PruneOptions) -> Observation:
    return await run_isolated(
        project,
        lambda credentials: _Observing(project, credentials, options).observe(),
        lambda error: Observation(project, error=error or ErrorInfo(message="it has no credentials")),
    )


@dataclass(frozen=True)
class _Observing:
    project: Project
    credentials: HetznerCloudCredentials
    options: PruneOptions

    async def observe(self) -> Observation:
        """Observe the project.

        The record is loaded before the listing, so all it knows is older; the exemptions are read after it.
        """
        name, endpoint = self.project.name, normalize_endpoint(self.credentials.endpoint)
        history = await self._load_history()
        now = self.options.clock()
        lists = await read_lists(self.credentials, name)
        requirements = await self.options.requirements.read(name, endpoint)
        observation = self._judge(lists, requirements, history, now)
        if observation.quarantine and self.project.keeps_history:
            await save_quarantine(observation.quarantine)
        return await self._with_prices(replace(observation, endpoint=endpoint))

    async def _load_history(self) -> QuarantineHistory:
        """Load what earlier runs know; `HCLOUD_TOKEN` may be another project's each time."""
        if not self.project.keeps_history:
            return QuarantineHistory()
        return await load_quarantine_history(self.project.name, self.options.policy_name)

    def _judge(
        self, lists: ProjectLists, requirements: Requirements, history: QuarantineHistory, now: datetime
    ) -> Observation:
        retention, limits = apply_retention(lists, requirements, now), self.options.limits
        ids = [image.id for image in retention.candidates]
        quarantine = history.observe(self.project.name, self.options.policy_name, ids, now)
        return Observation(
            self.project,
            quarantine=quarantine,
            restarted=history.restart_reason(now),
            outcomes=planned_outcomes(retention, quarantine, limits, now),
            due=plan_due(retention, quarantine, limits, now),
            max_deletions=limits.max_deletions,
        )

    async def _with_prices(self, observation: Observation) -> Observation:
        """Add what storing costs, if anything may be freed; a run never fails for want of it."""
        if not any(one.outcome in {"would_prune", "queued", "quarantined"} for one in observation.outcomes):
            return observation
        list_them = list_prices.with_options(task_run_name=f"list-prices-{self.project.name}")
        try:
            return replace(observation, pricing=await list_them(self.credentials))
        except HetznerCloudError as error:
            return replace(observation, note=f"the prices could not be read: {error}")
        except Exception as error:  # noqa: BLE001 - as above
            return replace(observation, note=f"the prices could not be read: {ErrorInfo.of(error).message}")
