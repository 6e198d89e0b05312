"""One project's part of a protection run: list, select, change, wait, verify, report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._changes import request_protection, wait_for_changes
from flows._projects import run_isolated
from flows._pruning_in_progress import PruningInProgress
from flows._requirements import RunRequirements
from flows._snapshot_claims import SnapshotClaims
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.label_selector import LabelSelector
from hetzner_cloud.models import Action, Image
from hetzner_cloud.unreadable_entries import UnreadableImagesError
from records.prune_progress import UnreadableProgressError
from snapshot_protection.determined_outcomes import final_outcomes, planned_outcomes
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import SnapshotOutcome, find_token_rejection
from snapshot_protection.protection_report import ProjectReport
from snapshot_protection.reported_policy import ReportedPolicy
from snapshot_protection.requirements import Requirements
from snapshot_protection.tracking import (
    Deleted,
    Listed,
    Sighting,
    Tracked,
    Unknown,
    has_unprotected,
    record_changes,
    record_failed_verification,
    record_sightings,
    see,
    select_unprotected,
    track,
    unlisted,
)
from snapshot_protection.unreadable import Listing
from tasks.images import list_images
from tasks.inline import in_task_run
from tasks.protection import get_unlisted_images

_MAX_ROUNDS = 3  # the second and third are for what was created, or lost its protection, during the run


@dataclass(frozen=True)
class ProtectionOptions:
    """What is asked of each project's part of a run.

    Attributes:
        label_selector: Only snapshots with these labels; empty: all.
        dry_run: Change nothing.
        timeout_seconds: Bound of the wait for actions.
        max_groups: How many task runs may change snapshots, at most.
        show_progress: Whether waits have progress artifacts.
        requirements: Which snapshots must be protected.
        claims: Which snapshots another project's part of the run has listed: it is the same project, then.
        pruning: What prune runs have in progress.
    """

    label_selector: str
    dry_run: bool
    timeout_seconds: float
    max_groups: int
    show_progress: bool
    requirements: RunRequirements = field(default_factory=RunRequirements)
    claims: SnapshotClaims = field(default_factory=SnapshotClaims)
    pruning: PruningInProgress = field(default_factory=PruningInProgress)


async def protect_project(project: Project, options: ProtectionOptions) -> ProjectReport:
    """Protect a project's snapshots; whatever happens, it is reported and stops no other project."""
    report = await run_isolated(
        project,
        lambda credentials: _ProjectRun(project.name, credentials, options).protect(),
        lambda error: ProjectReport(project=project.name, error=error),
    )
    return report.model_copy(update={"policy": ReportedPolicy.of(options.requirements.policy)})


@dataclass(frozen=True)
class _Progress:
    """What a round left.

    Attributes:
        snapshots: As they are known now.
        requirements: What is required of them, as far as it was read.
        without_id: What is wrong with each entry of the last listing that has no valid id.
        error: Why nothing more is changed: the token was rejected, or the exemptions could not be read.
        unsettled: Why it is unknown what prune runs have in progress: what is protected may not stay so.
    """

    snapshots: Tracked
    requirements: Requirements
    without_id: tuple[ErrorInfo, ...] = ()
    error: ErrorInfo | None = None
    unsettled: ErrorInfo | None = None

    @property
    def todo(self) -> list[Image]:
        """What the next round changes."""
        return [] if self.error else select_unprotected(self.requirements, self.snapshots)


@dataclass(frozen=True)
class _ProjectRun:
    name: str
    credentials: HetznerCloudCredentials
    options: ProtectionOptions

    @property
    def endpoint(self) -> str:
        return normalize_endpoint(self.credentials.endpoint)

    async def protect(self) -> ProjectReport:
        listing = await self._list("list")
        requirements = self.options.requirements.without_exemptions(self.name)
        progress = await self._settle(_Progress(track(listing.snapshots), requirements, listing.without_id))
        async with self.options.claims.claim(self.endpoint, progress.snapshots) as are_claimed:
            if are_claimed:
                progress = await self._list_again(progress)
            report = await self._protect(progress)
        return report.model_copy(update={"endpoint": self.endpoint, "finished": datetime.now(UTC)})

    async def _protect(self, progress: _Progress) -> ProjectReport:
        progress = await self._read_exemptions(progress)
        if self.options.dry_run:
            return self._report(progress, planned_outcomes(progress.requirements, progress.snapshots))
        for _ in range(_MAX_ROUNDS):
            if progress.todo:
                progress = await self._round(progress)
        return self._report(progress, final_outcomes(progress.requirements, progress.snapshots))

    async def _read_exemptions(self, progress: _Progress) -> _Progress:
        """Read what is exempt, after the snapshots were seen: before one is unprotected, that is stored."""
        if not has_unprotected(progress.snapshots):
            return progress
        requirements = await self.options.requirements.read(self.name, self.endpoint)
        return replace(progress, requirements=requirements)

    async def _list_again(self, progress: _Progress) -> _Progress:
        """See what another token of the same project left; an error is this token's, of the whole project."""
        listing = await self._list("list-again")
        fetched = await self._get_unlisted(unlisted(progress.snapshots, listing.snapshots))
        snapshots = record_sightings(progress.snapshots, listing.snapshots, fetched)
        return await self._settle(replace(progress, snapshots=snapshots, without_id=listing.without_id))

    async def _settle(self, progress: _Progress) -> _Progress:
        """See again what a prune run has in progress, once that is over.

        If that is unknown, what is protected may not stay so; what is not is protected all the same.
        """
        pruning, seen = self.options.pruning, dict[int, Sighting]()
        try:
            found = await pruning.find(self.name, self.endpoint, progress.snapshots)
        except UnreadableProgressError as error:
            return replace(progress, unsettled=ErrorInfo.of(error))
        for image_id, one in found.items():
            timeout_seconds = self.options.timeout_seconds
            unknown = await pruning.settle(self.name, self.credentials, one, timeout_seconds)
            [again] = (await self._get_unlisted([image_id])).values()
            seen[image_id] = Unknown(unknown) if unknown and _is_protected(again) else again
        return replace(progress, snapshots=record_sightings(progress.snapshots, (), seen))

    def _report(self, progress: _Progress, outcomes: tuple[SnapshotOutcome, ...]) -> ProjectReport:
        return ProjectReport(
            project=self.name,
            snapshots=outcomes,
            error=progress.error or progress.unsettled,
            without_id=progress.without_id,
        )

    async def _round(self, progress: _Progress) -> _Progress:
        max_groups = self.options.max_groups
        changes = await request_protection(self.credentials, progress.todo, max_groups=max_groups)
        waited = await wait_for_changes(
            self.credentials,
            changes,
            max_groups=max_groups,
            timeout_seconds=self.options.timeout_seconds,
            show_progress=self.options.show_progress,
        )
        changed = replace(progress, snapshots=record_changes(progress.snapshots, changes, waited))
        verified = replace(await self._verify(changed), error=find_token_rejection(changes))
        try:
            return await self._read_exemptions(verified)
        except HetznerCloudError as error:  # what was started must be reported
            return replace(verified, error=verified.error or ErrorInfo.of(error))

    async def _list(self, verb: str, *, after: Iterable[Action] = ()) -> Listing:
        listing = list_images.with_options(task_run_name=f"{verb}-snapshots-{self.name}")
        try:
            images = await in_task_run(listing)(  # wait_for: an arrow in the graph of the run
                self.credentials,
                type="snapshot",
                label_selector=self.options.label_selector,
                wait_for=[*after],
            )
        except UnreadableImagesError as error:
            return Listing.of(error)
        return Listing(images)

    async def _verify(self, progress: _Progress) -> _Progress:
        """See every snapshot once more: in a listing or, if that does not show it, by its id."""
        snapshots = progress.snapshots
        actions = (tracked.action for tracked in snapshots.values() if tracked.action)
        try:
            listing = await self._list("verify", after=islice(actions, 1))
        except Exception as error:  # noqa: BLE001 - whatever it is, what was started must be reported
            failed = record_failed_verification(snapshots, ErrorInfo.of(error))
            return replace(progress, snapshots=failed)
        listed = listing.snapshots
        fetched = await self._get_unlisted(unlisted(snapshots, listed))
        seen = record_sightings(snapshots, listed, fetched)
        return await self._settle(replace(progress, snapshots=seen, without_id=listing.without_id))

    async def _get_unlisted(self, image_ids: Sequence[int]) -> Mapping[int, Sighting]:
        try:
            found = await in_task_run(get_unlisted_images)(self.credentials, image_ids) if image_ids else {}
        except Exception as error:  # noqa: BLE001 - the task run broke: they are not verified, the others are
            return dict.fromkeys(image_ids, Unknown(ErrorInfo.of(error)))
        selector = LabelSelector.parse(self.options.label_selector)
        return {image_id: _sighting(found.get(image_id), selector) for image_id in image_ids}


def _sighting(found: Image | ErrorInfo | None, selector: LabelSelector) -> Sighting:
    match found:
        case None:
            return Deleted()
        case ErrorInfo():
            return Unknown(found)
        case Image():
            return see(found, selector)


def _is_protected(sighting: Sighting) -> bool:
    return isinstance(sighting, Listed) and sighting.image.is_protected
