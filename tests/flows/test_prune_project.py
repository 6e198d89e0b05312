"""Pruning in one project: one run at a time, through one of its names, or not at all."""

import asyncio

import pytest

from flows.prune_snapshots import prune_snapshots
from records.prune_locks import Holder, acquire_lock
from sandbox import Fault, ManualClock
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import run
from tests.support.prune_runs import (
    PruneProject,
    make_prune_project,
    prune_outcomes_of,
    prune_report_of,
)


@pytest.fixture
async def project(make_sandbox: MakeSandbox, save_project: SaveProject) -> PruneProject:
    return await make_prune_project(make_sandbox, save_project)


@pytest.mark.parametrize("operation", ["list_images", "list_servers"])
async def test_a_project_whose_lists_cannot_be_read_is_kept_whole(
    project: PruneProject, operation: str
) -> None:
    await project.age()
    project.sandbox.faults.add(Fault(kind="wrong_shape", operation=operation))
    done = await project.prune()
    assert done.state.is_failed()
    assert not project.writes


async def test_two_names_of_one_project_are_pruned_through_the_first(
    project: PruneProject, save_project: SaveProject
) -> None:
    await project.age()
    other = f"{project.name}-x"
    save_project(other, project.sandbox)
    done = await run(
        prune_snapshots,
        projects=[project.name, other],
        policy=project.policy,
        dry_run=False,
        approval=False,
    )
    assert done.state.is_completed(), done.state.message
    assert project.deletions == project.candidates
    [_, kept] = prune_report_of(done).projects
    assert kept.same_as == project.name
    assert {one.outcome for one in kept.outcomes} == {"kept"}


async def test_of_two_runs_at_once_one_prunes_and_the_other_names_it(
    make_sandbox: MakeSandbox, save_project: SaveProject
) -> None:
    clock = ManualClock()  # the one that prunes waits for its action until the other has ended
    project = await make_prune_project(make_sandbox, save_project, action_seconds=1, clock=clock)
    await project.age()
    runs = [asyncio.create_task(project.prune()) for _ in range(2)]
    await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
    while not all(one.done() for one in runs):
        clock.advance(1)
        await asyncio.sleep(0.01)
    first, second = [one.result() for one in runs]
    [done] = [one for one in (first, second) if one.state.is_completed()]
    [failed] = [one for one in (first, second) if one.state.is_failed()]
    assert f"({done.record.id}) prunes project '{project.name}'" in (failed.state.message or "")
    assert set(prune_outcomes_of(failed).values()) == {"queued", "kept"}
    assert project.deletions == project.candidates


async def test_a_run_that_finds_the_lock_held_changes_nothing(project: PruneProject) -> None:
    await project.age()
    other = await project.look()
    lock = await acquire_lock(
        project.name, Holder(flow_run_id=other.record.id, flow_run_name=other.record.name)
    )
    done = await project.prune()
    assert done.state.is_failed()
    assert f"({other.record.id}) prunes project" in (done.state.message or "")
    assert not project.writes
    await lock.release()
    assert (await project.prune()).state.is_completed()
