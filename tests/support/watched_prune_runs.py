"""Prune and protection runs of a watched world, below the flow engine, with an approval of each plan."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any, Literal
from unittest.mock import patch

from blocks.projects import Project
from flows._approval import Approval
from flows._observe_project import PruneOptions
from flows._protect_again import LastSeen, protect_again
from flows._protect_project import ProtectionOptions, protect_project
from flows._prune_lock import ThisRun
from flows._requirements import RunRequirements
from flows.prune_snapshots import _PruneRun
from sandbox.clock import rfc3339
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.protection_report import ProjectReport
from snapshot_protection.prune_plan import PruneApprovalRequest, PruneLimits
from snapshot_protection.prune_report import ProjectPruneReport, PruneReport, SnapshotsNotPrunedError
from tests.support.prune_reference import POLICY
from tests.support.prune_world import NAME, World
from tests.support.watched_runs import ProcessGoneError, WatchedRun, within

SERVER = {"id": 40_000_001, "name": "db-1"}


class PruneHistory:
    """A world in which prune runs start, as from a deployment, and someone approves each plan.

    Attributes:
        requests: The plans that were published, in order.
        between: What happens before each approval, in order.
        decision: The answer to each of them.
        report: Of the last prune run that had one.
    """

    def __init__(self, world: World, snapshots: int) -> None:
        self.world = world
        self.ids = [self.add_snapshot(days=days) for days in range(snapshots, 0, -1)]
        self.requests: list[PruneApprovalRequest] = []
        self.between: list[Callable[[], object]] = []
        self.decision: Literal["apply", "reject"] = "apply"
        self.report: PruneReport | None = None

    @property
    def candidates(self) -> list[int]:
        """What the policy does not keep, the oldest first."""
        return self.ids[:-1]

    @property
    def newest(self) -> int:
        """What it keeps."""
        return self.ids[-1]

    @property
    def asked(self) -> list[list[int]]:
        """The snapshots of each plan for which approval was requested."""
        return [[one.image_id for one in each.plan.snapshots] for each in self.requests if not each.used]

    @property
    def unprotected(self) -> list[int]:
        """The snapshots that exist and are not protected."""
        images = self.world.sandbox.images.items()
        return [image_id for image_id, image in images if not image["protection"]["delete"]]

    def add_snapshot(self, *, days: float) -> int:
        """Add one of the server, protected; the policy keeps the newest one."""
        return self.world.sandbox.add_snapshot(
            created=rfc3339((self.world.now() - timedelta(days=days)).timestamp()),
            created_from=dict(SERVER),
            labels={"env": "dev"},
            protection={"delete": True},
        )

    async def prune(
        self,
        watched: WatchedRun | None = None,
        *,
        approval: bool = False,
        dry_run: bool = False,
        **limits: Any,
    ) -> ProjectPruneReport | None:
        """Run a prune run to its end; None if it was killed, or its plan rejected."""
        watched = watched or WatchedRun()
        found = RunRequirements(NamedPolicy("default", POLICY), clock=self.world.now)
        chosen = PruneLimits(watched.days, limits.get("max_deletions", 5))
        options = PruneOptions(found, chosen, dry_run, limits.get("timeout_seconds", 20))
        run = _PruneRun([self.world.project], options, ThisRun(watched.id, "watched"))
        work = run.look() if dry_run else run.apply(with_approval=approval)
        with suppress(ProcessGoneError):
            state = await within(watched, work)
        if watched.is_gone or state.name == "Rejected":
            return None
        report = state.data.report if isinstance(state.data, SnapshotsNotPrunedError) else state.data
        assert isinstance(report, PruneReport), state
        self.report = report
        return report.projects[0]

    async def protect(
        self, watched: WatchedRun | None = None, *, name: str = "", **options: Any
    ) -> ProjectReport:
        """Run a protection run of the same project, by default under the same name."""
        found = RunRequirements(NamedPolicy("default", POLICY), clock=self.world.now)
        settings = {"dry_run": False, "timeout_seconds": 120, "max_groups": 9, "show_progress": False}
        chosen = ProtectionOptions("", requirements=found, **{**settings, **options})
        project = Project(name or NAME, self.world.project.credentials)
        work = within(watched or WatchedRun(), protect_project(project, chosen))
        done: ProjectReport = await asyncio.create_task(
            work
        )  # a connection pool is entered once by each task
        return done

    async def protect_again(self, image_id: int) -> LastSeen:
        """Protect a snapshot as a run does that has unprotected it."""
        credentials = self.world.project.credentials
        assert credentials
        seen: LastSeen = await within(WatchedRun(), protect_again(credentials, image_id, timeout_seconds=60))
        return seen

    def kill_when(self, what: str) -> None:
        """End the process of the next run when the API has received its request: `unprotected`, `deleted`."""

        def kill(run: WatchedRun, _image_id: int, happened: str) -> None:
            run.is_gone = run.is_gone or happened == what
            self.world.on_change = lambda *_: None

        self.world.on_change = kill

    async def _approve(self, _key: str, _form: str) -> Approval:
        if self.between:
            self.between.pop(0)()
        return Approval(decision=self.decision, approved_by="someone")

    async def _save(self, _key: str, request: PruneApprovalRequest, _page: str) -> None:
        self.requests.append(request)

    @contextmanager
    def entered(self) -> Iterator["PruneHistory"]:
        """Put it where the engine is."""
        instead: dict[str, Any] = {
            "flows._prune_approval.save_request": self._save,
            "flows._prune_approval.request_approval": self._approve,
            "flows._prune_approval.load_request": _nothing,
            "flows.prune_snapshots.publish": _nothing_unpublished,
            "flows._prune_snapshot.emit_left_unprotected": lambda *_given: None,
            "flows._prune_recovery.emit_left_unprotected": lambda *_given: None,
        }
        with ExitStack() as stack:
            stack.enter_context(self.world.entered())
            for name, one in instead.items():
                stack.enter_context(patch(name, one))
            yield self


@contextmanager
def prune_history(snapshots: int = 3, **settings: Any) -> Iterator[PruneHistory]:
    """Make a project with so many snapshots of one server, of which the newest is kept."""
    with PruneHistory(World(**settings), snapshots).entered() as history:
        yield history


async def _nothing(*_given: object) -> None:
    """Find nothing."""


async def _nothing_unpublished(*_given: object) -> dict[str, str]:
    return {}


def outcomes_of(report: ProjectReport | ProjectPruneReport) -> dict[int, str]:
    """The outcome of each snapshot of a report."""
    found: Sequence[Any] = report.snapshots if isinstance(report, ProjectReport) else report.outcomes
    return {one.image_id: one.outcome for one in found}
