"""Pruning in one project: one run at a time, through one of its names, or not at all."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from flows.prune_snapshots import prune_snapshots
from records.prune_locks import Holder, acquire_lock
from sandbox import Fault
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import run
from tests.support.prune_runs import make_prune_project, prune_report_of
from tests.support.prune_world import NAME
from tests.support.watched_prune_runs import PruneHistory, outcomes_of, prune_history
from tests.support.watched_runs import WatchedRun, within


@pytest.fixture
def history() -> Iterator[PruneHistory]:
    with prune_history() as made:
        yield made


@pytest.mark.parametrize("operation", ["list_images", "list_servers"])
async def test_a_project_whose_lists_cannot_be_read_is_kept_whole(
    history: PruneHistory, operation: str
) -> None:
    history.world.sandbox.faults.add(Fault(kind="wrong_shape", operation=operation))
    watched = WatchedRun()
    report = await history.prune(watched)
    assert report
    assert report.error
    assert not watched.writes


async def test_two_names_of_one_project_are_pruned_through_the_first(
    make_sandbox: MakeSandbox, save_project: SaveProject
) -> None:
    project = await make_prune_project(make_sandbox, save_project)
    await project.age()
    other = f"{project.name}-x"
    save_project(other, project.sandbox)
    names = [project.name, other]
    done = await run(prune_snapshots, projects=names, policy=project.policy, dry_run=False, approval=False)
    assert done.state.is_completed(), done.state.message
    assert project.deletions == project.candidates
    [_, kept] = prune_report_of(done).projects
    assert kept.same_as == project.name
    assert {one.outcome for one in kept.outcomes} == {"kept"}


async def test_of_two_runs_at_once_one_prunes_and_the_other_names_it() -> None:
    with prune_history(action_seconds=5) as history:
        runs = [WatchedRun(), WatchedRun()]
        reports = await asyncio.gather(*(asyncio.create_task(history.prune(one)) for one in runs))
        [(failed, report)] = [
            (one, report) for one, report in zip(runs, reports, strict=True) if report and report.error
        ]
        [done] = [one for one in runs if one is not failed]
        assert report.error
        assert f"({done.id}) prunes project '{NAME}'" in report.error.message
        assert set(outcomes_of(report).values()) == {"queued", "kept"}
        assert done.deleted == {*history.candidates}
        assert not failed.writes


async def test_a_run_that_finds_the_lock_held_changes_nothing(history: PruneHistory) -> None:
    other, watched = uuid4(), WatchedRun()
    lock = await within(watched, acquire_lock(NAME, Holder(flow_run_id=other, flow_run_name="another one")))
    report = await history.prune(watched)
    assert report
    assert report.error
    assert f"({other}) prunes project" in report.error.message
    assert not watched.writes
    await within(watched, lock.release())
    again = WatchedRun()
    assert await history.prune(again)
    assert again.deleted == {*history.candidates}
