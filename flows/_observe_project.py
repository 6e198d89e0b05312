"""One project's part of a prune run before anything is changed: list, judge, record the quarantine, plan."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._projects import for_each_project, run_isolated
from flows._requirements import RunRequirements
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.errors import HetznerCloudError, InvalidResponseError
from hetzner_cloud.prices import Pricing
from hetzner_cloud.unreadable_entries import UnreadableImagesError
from records.quarantines import load_quarantine_history, save_quarantine
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_outcomes import PruneOutcome, planned_outcomes
from snapshot_protection.prune_plan import PlannedDeletion, PruneLimits, plan_project
from snapshot_protection.prune_report import ProjectPruneReport
from snapshot_protection.quarantine import Quarantine
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
        """The name of the run's policy."""
        return self.requirements.policy.name

    def clock(self) -> datetime:
        """Return the time, in UTC."""
        return self.requirements.clock()


@dataclass(frozen=True)
class Observation:
    """What was seen of a project, and what is planned in it.

    Attributes:
        project: With its credentials, or the reason why they cannot be used.
        endpoint: Normalized; empty if the project could not be read.
        quarantine: As recorded by this run; None if the project could not be read.
        outcomes: What a dry run reports of each snapshot.
        planned: What is to be deleted; nothing if the project is kept whole.
        error: Why the project is kept whole.
        same_as: The project of the run that is the same one, by another token.
    """

    project: Project
    endpoint: str = ""
    quarantine: Quarantine | None = None
    restarted: str = ""
    outcomes: tuple[PruneOutcome, ...] = ()
    planned: tuple[PlannedDeletion, ...] = ()
    pricing: Pricing | None = None
    note: str = ""
    error: ErrorInfo | None = None
    same_as: str = ""

    @property
    def report(self) -> ProjectPruneReport:
        """Return the project's report, if nothing more happens in it."""
        return ProjectPruneReport(
            project=self.project.name,
            outcomes=self.outcomes,
            error=self.error,
            same_as=self.same_as,
            restarted=self.restarted,
            pricing=self.pricing,
            note=self.note,
        )


async def observe_projects(projects: Iterable[Project], options: PruneOptions) -> list[Observation]:
    """Observe all projects; of those that are the same one, by two tokens, only the first is planned."""
    observed = await for_each_project(list(projects), lambda project: _observe(project, options))
    return list(_keep_duplicates(observed))


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
            planned=plan_project(retention, quarantine, limits, now),
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


@dataclass
class _Owners:
    """Which project of the run has listed an image first: at one endpoint an id belongs to one image only."""

    of_images: dict[tuple[str, int], str] = field(default_factory=dict)

    def claim(self, observation: Observation) -> str:
        images = [(observation.endpoint, outcome.image_id) for outcome in observation.outcomes]
        owner = next((self.of_images[one] for one in images if one in self.of_images), "")
        self.of_images |= {
            one: owner or observation.project.name for one in images if one not in self.of_images
        }
        return owner


def _keep_duplicates(observed: Iterable[Observation]) -> Iterable[Observation]:
    owners = _Owners()
    for observation in observed:
        if owner := owners.claim(observation):
            yield _kept_whole(observation, owner)
        else:
            yield observation


def _kept_whole(observation: Observation, owner: str) -> Observation:
    reason = f"'{owner}' is the same project"
    outcomes = (
        outcome.model_copy(update={"outcome": "kept", "reasons": (*outcome.reasons, reason), "due": None})
        if outcome.due
        else outcome
        for outcome in observation.outcomes
    )
    return replace(observation, outcomes=tuple(outcomes), planned=(), same_as=owner)
