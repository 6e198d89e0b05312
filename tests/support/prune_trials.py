"""Parts of prune runs, tried below the flow engine in a world whose time and requests tests control."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from unittest.mock import patch

from blocks.projects import Project
from flows._observe_project import PruneOptions, observe_projects
from flows._prune_lock import ThisRun
from flows._prune_observation import Observation
from flows._prune_project import apply_plan
from flows._prune_recovery import Recovery, recover_projects
from flows._requirements import RunRequirements
from records.prune_progress import ProgressRecord
from sandbox.clock import rfc3339
from snapshot_protection.policy import Keep, NamedPolicy, Policy, Rule
from snapshot_protection.prune_plan import PruneLimits, make_prune_plan
from snapshot_protection.prune_progress import PruneProgress
from snapshot_protection.prune_report import ProjectPruneReport
from tests.support.prune_world import NAME, World
from tests.support.watched_runs import Happening, WatchedRun, within

ALL_BUT_THE_NEWEST = Rule(
    name="nightly", prune=True, keep=Keep(last=1, within_days=0, daily=0, weekly=0, monthly=0)
)

T = TypeVar("T")


@dataclass
class Trial:
    """A project with snapshots of one server, and what prune runs do in it.

    Attributes:
        ids: Of the snapshots, the oldest first.
        run: The last run.
        events: What was emitted of snapshots that are left unprotected.
    """

    world: World
    ids: Sequence[int]
    policy: NamedPolicy
    days: float = 0
    run: WatchedRun = field(default_factory=WatchedRun)
    events: list[tuple[Any, ...]] = field(default_factory=list)

    def options(self, *, dry_run: bool = False, max_deletions: int = 10) -> PruneOptions:
        requirements = RunRequirements(self.policy, clock=self.world.now, any_exemption=True)
        return PruneOptions(requirements, PruneLimits(self.days, max_deletions), dry_run, 900)

    async def observe(self, *names: str, max_deletions: int = 10) -> list[Observation]:
        """Observe the project, under each of these names."""
        self.run = WatchedRun()
        projects = [Project(name, self.world.project.credentials) for name in names or (NAME,)]
        return await self._within(observe_projects(projects, self.options(max_deletions=max_deletions)))

    async def apply(
        self, *names: str, at: Mapping[int, Happening] | None = None, edit: Any = None
    ) -> ProjectPruneReport:
        """Plan and apply; something happens before the nth request after the plan was made."""
        observed = await self.observe(*names)
        options = self.options()
        plan = make_prune_plan(self.policy, options.limits, (one.planned for one in observed))
        self.run.at = {self.run.requests + nth: happening for nth, happening in (at or {}).items()}
        if edit:
            edit()
        applying = apply_plan(observed, plan, options, ThisRun(self.run.id, "tried"))
        return next(iter(await self._within(applying)))

    async def die(self, *, at: int = 0) -> None:
        """Record a planned one as in progress, as a run that is killed before its first change leaves it."""
        [observed] = await self.observe()
        empty = PruneProgress(project=NAME, endpoint=observed.endpoint, flow_run_id=self.run.id)
        record = await self._within(ProgressRecord.create(empty))
        await self._within(record.store(empty.begin(observed.planned[at], self.world.now(), self.ids[1:])))
        self.run.is_gone = True

    async def recover(self, *, dry_run: bool = False) -> Recovery:
        """Recover what an earlier run has left."""
        self.run = WatchedRun()
        recovering = recover_projects(
            [self.world.project], self.options(dry_run=dry_run), ThisRun(self.run.id, "next")
        )
        return (await self._within(recovering))[NAME]

    async def _within(self, work: Awaitable[T]) -> T:
        return cast("T", await within(self.run, work))

    @property
    def unprotected(self) -> list[int]:
        """The ids of the snapshots that exist and are not protected."""
        images = self.world.sandbox.images.items()
        return [image_id for image_id, image in images if not image["protection"]["delete"]]


@contextmanager
def prune_trial(*rules: Rule, snapshots: int = 3, protected: bool = True, **settings: Any) -> Iterator[Trial]:
    """Make a project with so many snapshots of one server, each a day younger than the one before."""
    world = World(**settings)
    ids = [
        world.sandbox.add_snapshot(
            created=rfc3339(world.time() - 86_400 * (snapshots - number)),
            created_from={"id": 1, "name": "db-1"},
            labels={},
            protection={"delete": protected},
        )
        for number in range(snapshots)
    ]
    policy = NamedPolicy("default", Policy(rules=list(rules) or [ALL_BUT_THE_NEWEST]))
    trial = Trial(world, ids, policy)

    async def load_policy(_name: str) -> NamedPolicy:
        return trial.policy

    with ExitStack() as stack:
        stack.enter_context(world.entered())
        stack.enter_context(patch("flows._requirements.load_policy", load_policy))
        for module in ("flows._prune_snapshot", "flows._prune_recovery"):
            emit = f"{module}.emit_left_unprotected"
            stack.enter_context(patch(emit, lambda *given: trial.events.append(given)))
        yield trial


def outcomes_of(report: ProjectPruneReport) -> dict[int, str]:
    """The outcome of each snapshot."""
    return {one.image_id: one.outcome for one in report.outcomes}
