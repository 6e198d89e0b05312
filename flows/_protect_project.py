"""One project's part of a protection run: list, select, change, wait, verify, report."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import TypeVar, cast

from prefect.utilities.annotations import opaque

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from flows._projects import run_isolated
from hetzner_cloud.errors import ActionError
from hetzner_cloud.label_selector import LabelSelector
from hetzner_cloud.models import Action, Image
from snapshot_protection.outcomes import (
    ChangeResult,
    ChangesFailedError,
    ErrorInfo,
    WaitResult,
    find_token_rejection,
    make_outcome,
)
from snapshot_protection.protection_report import ProjectReport
from snapshot_protection.tracking import (
    Deleted,
    Sighting,
    Tracked,
    Unknown,
    determine_outcome,
    record_changes,
    record_failed_verification,
    record_sightings,
    see,
    select_unprotected,
    track,
    unlisted,
)
from tasks.images import list_images
from tasks.protection import get_unlisted_images, protect_images
from tasks.waiting import wait_for_image_actions

_SINGLES_AT_ONCE = 10  # as many as the client has requests in flight
_GROUPS_AT_ONCE = 2  # one of them has enough to ask for while the other begins or ends
_MIN_GROUP = 50
_MAX_ROUNDS = 3  # the second and third are for what came up, or lost its protection, meanwhile

T = TypeVar("T")


@dataclass(frozen=True)
class ProtectionOptions:
    """What is asked of each project's part of a run.

    Attributes:
        label_selector: Only snapshots with these labels; empty: all.
        dry_run: Change nothing.
        timeout_seconds: Bound of the wait for actions.
        max_groups: How many task runs may change snapshots, at most.
        show_progress: Whether waits have progress artifacts.
    """

    label_selector: str
    dry_run: bool
    timeout_seconds: float
    max_groups: int
    show_progress: bool


async def protect_project(project: Project, options: ProtectionOptions) -> ProjectReport:
    """Protect a project's snapshots; whatever happens, it is reported and stops no other project."""
    return await run_isolated(
        project,
        lambda credentials: _ProjectRun(project.name, credentials, options).protect(),
        lambda error: ProjectReport(project=project.name, error=error),
    )


@dataclass(frozen=True)
class _ProjectRun:
    name: str
    credentials: HetznerCloudCredentials
    options: ProtectionOptions

    async def protect(self) -> ProjectReport:
        snapshots: Tracked = track(await self._list("list"))
        if self.options.dry_run:
            return self._report(snapshots, dry_run=True)
        rejection: ErrorInfo | None = None
        for _ in range(_MAX_ROUNDS):
            todo = select_unprotected(snapshots)
            if not todo or rejection:
                break
            changes = await self._change(todo)
            snapshots = record_changes(snapshots, changes, await self._wait(changes))
            rejection = find_token_rejection(changes)
            snapshots = await self._verify(snapshots)
        return self._report(snapshots, rejection=rejection)

    def _report(
        self, snapshots: Tracked, *, rejection: ErrorInfo | None = None, dry_run: bool = False
    ) -> ProjectReport:
        outcomes = {
            image_id: determine_outcome(self.name, tracked) for image_id, tracked in snapshots.items()
        }
        if dry_run:
            todo = select_unprotected(snapshots)
            outcomes |= {image.id: make_outcome(self.name, image, "would_protect") for image in todo}
        return ProjectReport(project=self.name, snapshots=tuple(outcomes.values()), error=rejection)

    async def _list(self, verb: str, *, after: Iterable[Action] = ()) -> list[Image]:
        listing = list_images.with_options(task_run_name=f"{verb}-snapshots-of-{self.name}")
        return await listing(  # wait_for: an arrow in the graph of the run
            self.credentials,
            type="snapshot",
            label_selector=self.options.label_selector,
            wait_for=[*after],
        )

    async def _change(self, todo: Sequence[Image]) -> list[ChangeResult]:
        size = self._group_size(len(todo))
        groups = [todo[at : at + size] for at in range(0, len(todo), size)]
        places = asyncio.Semaphore(_SINGLES_AT_ONCE if size == 1 else _GROUPS_AT_ONCE)
        refusals: list[ErrorInfo] = []
        results = await asyncio.gather(*(self._change_group(group, places, refusals) for group in groups))
        return [result for group in results for result in group]

    def _group_size(self, count: int) -> int:
        most = self.options.max_groups
        return 1 if count <= most else max(_MIN_GROUP, ceil(count / most))

    async def _change_group(
        self, group: Sequence[Image], places: asyncio.Semaphore, refusals: list[ErrorInfo]
    ) -> list[ChangeResult]:
        async with places:
            if refusals:  # the token may not change anything: a task run for each snapshot would say the same
                return [ChangeResult(image_id=image.id, error=refusals[0]) for image in group]
            results = await self._ask_for_protection(group)
        if refusal := find_token_rejection(results):
            refusals.append(refusal)
        return results

    async def _ask_for_protection(self, group: Sequence[Image]) -> list[ChangeResult]:
        try:
            return await protect_images(self.credentials, _unsearched(group), wait_for=group[:1])
        except ChangesFailedError as error:
            return error.results
        except Exception as error:  # noqa: BLE001 - the task run broke: what is seen afterwards decides
            return [ChangeResult(image_id=image.id, error=ErrorInfo.of(error)) for image in group]

    async def _wait(self, changes: Sequence[ChangeResult]) -> WaitResult:
        actions = [change.action for change in changes if change.action]
        if not actions:
            return WaitResult()
        one_of_each_group = changes[:: self._group_size(len(changes))]
        try:
            ended = await wait_for_image_actions(
                self.credentials,
                _unsearched(actions),
                timeout_seconds=self.options.timeout_seconds,
                show_progress=self.options.show_progress,
                wait_for=one_of_each_group,
            )
        except ActionError as error:
            known = [*error.succeeded, *error.failed, *error.unfinished]
            missing = frozenset(action.id for action in error.missing)
            return WaitResult(
                actions={action.id: action for action in known}, missing=missing, reason=error.reason
            )
        except Exception as error:  # noqa: BLE001 - the task run broke: what is seen afterwards decides
            return WaitResult(reason=f"the wait broke: {error!r}")
        return WaitResult(actions={action.id: action for action in ended})

    async def _verify(self, snapshots: Tracked) -> Tracked:
        """See every snapshot once more: in a listing or, if that does not show it, by its id."""
        actions = (tracked.action for tracked in snapshots.values() if tracked.action)
        try:
            listing = await self._list("verify", after=islice(actions, 1))
        except Exception as error:  # noqa: BLE001 - whatever it is, what was started must be reported
            return record_failed_verification(snapshots, ErrorInfo.of(error))
        return record_sightings(snapshots, listing, await self._get_unlisted(unlisted(snapshots, listing)))

    async def _get_unlisted(self, image_ids: Sequence[int]) -> Mapping[int, Sighting]:
        try:
            found = await get_unlisted_images(self.credentials, image_ids) if image_ids else {}
        except Exception as error:  # noqa: BLE001 - the task run broke: they are not verified, the others are
            return dict.fromkeys(image_ids, Unknown(ErrorInfo.of(error)))
        selector = LabelSelector.parse(self.options.label_selector)
        return {image_id: _sighting(found.get(image_id), selector) for image_id in image_ids}


def _sighting(found: Image | ErrorInfo | None, selector: LabelSelector) -> Sighting:
    if found is None:
        return Deleted()
    return Unknown(found) if isinstance(found, ErrorInfo) else see(found, selector)


def _unsearched(values: Sequence[T]) -> Sequence[T]:
    """Spare Prefect the search for futures in each value, which takes seconds."""
    return cast("Sequence[T]", opaque(values))
