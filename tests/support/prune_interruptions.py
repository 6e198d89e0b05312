"""What ends a prune run of a model, takes its lock, or comes in between two of its requests."""

import asyncio
from dataclasses import dataclass

import httpx
from prefect.states import Cancelling

from flows._protect_project import ProtectionOptions, protect_project
from records.prune_locks import lock_name
from tests.support.prune_world import NAME, World
from tests.support.tried_prune_runs import Tried, requirements_of
from tests.support.watched_runs import WatchedRun, within

ENDS = ("cancelled", "killed", "timeout", "called cancelling", "lock deleted")
OTHER_RUNS = ("another prune run", "another dry run", "protection run")


@dataclass(frozen=True)
class Happens:
    """One of them; the run is frozen for some minutes before, and another run may then take its place."""

    what: str
    minutes: float = 0

    async def __call__(self, world: World, run: WatchedRun) -> None:
        world.time.advance(60 * self.minutes)
        match self.what:
            case "cancelled" if run.task:
                run.task.cancel()
                await asyncio.sleep(0)
            case "killed":
                run.is_gone = True
            case "timeout":
                raise httpx.ReadTimeout("it took too long")
            case "called cancelling":
                world.memory.states[run.id] = Cancelling()
            case "lock deleted":
                world.memory.variables.pop(lock_name(NAME), None)
            case "another prune run":
                await Tried(world, WatchedRun(days=run.days), max_deletions=3).run()
            case "another dry run":
                await Tried(world, WatchedRun(days=run.days), dry_run=True).run()
            case "protection run":
                await protect_all(world)
            case _:
                pass


async def protect_all(world: World) -> None:
    """Run what protects the project."""
    options = ProtectionOptions(
        "",
        dry_run=False,
        timeout_seconds=20,
        max_groups=9,
        show_progress=False,
        requirements=requirements_of(world),
    )
    await within(WatchedRun(), protect_project(world.project, options))
