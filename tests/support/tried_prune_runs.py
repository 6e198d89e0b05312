"""Prune runs of a model, without the engine: each is tried, and everything that it does is checked."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import UUID

from flows._approval import Approval
from flows._observe_project import PruneOptions
from flows._prune_lock import ThisRun
from flows._requirements import RunRequirements
from flows.prune_snapshots import _PruneRun
from hetzner_cloud.errors import HetznerCloudError
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.prune_plan import PruneApprovalRequest, PruneLimits
from snapshot_protection.prune_report import PruneReport, SnapshotsNotPrunedError
from tests.support.prune_happenings import Other
from tests.support.prune_reference import POLICY
from tests.support.prune_rules import broken_rules
from tests.support.prune_untruths import untruths
from tests.support.prune_world import World
from tests.support.watched_runs import Change, ProcessGoneError, WatchedRun, current_run, within

SEEN: Counter[str] = Counter()  # how often runs ended in which way, and snapshots had which outcome


@dataclass
class Tried:
    """A prune run, and all that must hold of it.

    Attributes:
        between: What happens while it waits for approval.
    """

    world: World
    watched: WatchedRun
    dry_run: bool = False
    approval: bool = False
    max_deletions: int = 2
    between: Sequence[Other] = ()

    async def run(self) -> None:
        """Run it to whatever end, and check its report if there is one."""
        _TRIED[self.watched.id] = self
        self.world.policy = POLICY  # as this run has loaded it
        self.watched.task = asyncio.create_task(within(self.watched, self._prune()))
        try:
            state = await self.watched.task
        except asyncio.CancelledError:
            SEEN["cancelled"] += 1
        except ProcessGoneError:
            pass
        except HetznerCloudError:
            SEEN["raised"] += 1
        else:
            self._check_report(state.data)
        self._check_end()

    async def _prune(self) -> Any:
        limits = PruneLimits(self.watched.days, self.max_deletions)
        options = PruneOptions(requirements_of(self.world), limits, self.dry_run, 20)
        pruning = _PruneRun([self.world.project], options, ThisRun(self.watched.id, "tried"))
        return await (pruning.look() if self.dry_run else pruning.apply(with_approval=self.approval))

    def _check_report(self, data: object) -> None:
        report = data.report if isinstance(data, SnapshotsNotPrunedError) else data
        if isinstance(report, PruneReport) and not self.watched.is_gone:
            SEEN.update(one.outcome for one in report.projects[0].outcomes)
            SEEN.update(line.rpartition(", is ")[2] for line in report.projects[0].recovered)
            self.world.wrong += untruths(self.world, self.watched, report.projects[0])

    def _check_end(self) -> None:
        """See that what it leaves unprotected is reported, however it ended, unless it was killed."""
        if self.dry_run and self.watched.writes:
            self.world.wrong.append(f"a dry run sent {self.watched.writes}")
        if self.watched.is_gone:
            SEEN["killed"] += 1
            return
        left = self.world.unprotected_by_us & self.watched.changed.keys()
        if not left <= self.watched.left:
            self.world.wrong.append(f"{left} is left unprotected, reported is {self.watched.left}")

    def check_change(self, image_id: int, what: Change) -> None:
        """See that a snapshot may be changed, right before it is."""
        run = self.watched
        if (image_id, what) in run.changes and what == "unprotected":
            return  # its response was lost, and it was sent again
        broken = broken_rules(self.world, run, image_id, what, max_deletions=self.max_deletions)
        broken += ["a dry run"] if self.dry_run else []
        self.world.wrong += [f"{image_id} is {what}: {rule}" for rule in broken]
        run.changes.add((image_id, what))


_TRIED: dict[UUID, Tried] = {}


def requirements_of(world: World) -> RunRequirements:
    """Return what a run requires that starts now."""
    return RunRequirements(NamedPolicy("default", POLICY), clock=world.now)


@contextmanager
def without_prefect_s_pages(world: World) -> Iterator[None]:
    """Take what runs publish, request and load out of their way; requests for approval are granted."""
    _TRIED.clear()
    world.on_change = lambda run, image_id, what: _TRIED[run.id].check_change(image_id, what)

    instead = {
        "flows._prune_approval.save_request": _save_request,
        "flows._prune_approval.request_approval": _approve,
        "flows._prune_approval.load_request": _load_none,
        "flows.prune_snapshots.publish": _publish_nothing,
        "flows._prune_snapshot.emit_left_unprotected": _note_left,
        "flows._prune_recovery.emit_left_unprotected": _note_left,
    }
    with ExitStack() as stack:
        for name, function in instead.items():
            stack.enter_context(patch(name, function))
        yield


async def _save_request(_key: str, request: PruneApprovalRequest, _page: str) -> None:
    """Note what is approved: each snapshot as it was received when the plan was made."""
    run = current_run()
    if run.is_gone:
        raise ProcessGoneError
    run.approved_at = run.requests
    if run.listed and not (request.used and _TRIED[run.id].approval):  # it was approved as it was requested
        ids = [one.image_id for one in request.plan.snapshots]
        run.approved = {image_id: run.listed.images[image_id] for image_id in ids}


async def _approve(_key: str, _form: str) -> Approval:
    """Approve, after a while."""
    tried = _TRIED[current_run().id]
    between, tried.between = tried.between, ()
    for one in between:
        await one(tried.world)
    return Approval(decision="apply", approved_by="someone")


async def _load_none(*_given: object) -> None:
    """Load nothing: a run that has suspended goes on here, and does not start from the top."""


async def _publish_nothing(*_given: object, **_named: object) -> dict[str, str]:
    return {}


def _note_left(_project: str, image_ids: Sequence[int], _reason: str) -> None:
    current_run().left.update(image_ids)
