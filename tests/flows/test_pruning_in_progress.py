"""A protection run meets what a prune run has in progress, below the engine."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from sandbox import Fault
from tests.support.prune_world import NAME, World
from tests.support.watched_prune_runs import PruneHistory, outcomes_of, prune_history
from tests.support.watched_runs import WatchedRun

KEY = f"snapshot-prune-progress-{NAME}"


async def kill_a_prune_run(history: PruneHistory) -> int:
    """Have a prune run killed when the API has received its request to remove a protection."""
    history.kill_when("unprotected")
    assert await history.prune() is None
    return history.candidates[0]


def store(history: PruneHistory, name: str, page: str) -> None:
    now = history.world.memory.artifacts
    now += [
        now[0].model_copy(
            update={"id": UUID(int=len(now)), "key": f"snapshot-prune-progress-{name}", "data": page}
        )
    ]


@pytest.mark.parametrize(
    "settings", [{"action_seconds": 30}, {"action_seconds": 30, "lock_while_running": True}, {}]
)
@pytest.mark.parametrize("name", [NAME, "another-name"])
async def test_what_a_killed_prune_run_unprotects_later_is_protected_by_one_protection_run(
    settings: dict[str, Any], name: str
) -> None:
    with prune_history(**settings) as history:
        image_id = await kill_a_prune_run(history)
        report = await history.protect(name=name)
        assert outcomes_of(report)[image_id] == "protected"
        history.world.time.advance(3_600)
        assert not history.unprotected


async def test_a_dry_run_says_that_what_is_about_to_be_unprotected_would_be_protected() -> None:
    with prune_history(action_seconds=30) as history:
        image_id = await kill_a_prune_run(history)
        watched = WatchedRun()
        report = await history.protect(watched, dry_run=True)
        assert outcomes_of(report)[image_id] == "would_protect"
        assert not watched.writes


async def test_a_prune_run_that_goes_on_is_not_disturbed() -> None:
    with prune_history(action_seconds=5) as history:
        pruning = asyncio.create_task(history.prune())
        while not history.world.sandbox.calls("change_image_protection"):  # noqa: ASYNC110 - as ever
            await asyncio.sleep(0)
        assert not history.world.sandbox.calls("delete_image")
        protecting = WatchedRun()
        protected = await history.protect(protecting)
        pruned = await pruning
        assert pruned
        first, second = history.candidates
        assert (outcomes_of(pruned)[first], outcomes_of(pruned)[second]) == ("pruned", "pruned")
        assert outcomes_of(protected)[first] == "deleted"
        assert not protecting.writes


async def test_what_a_frozen_prune_run_had_in_progress_is_protected_and_not_deleted_when_it_goes_on() -> None:
    async def protect(world: World, _run: WatchedRun) -> None:
        reports.append(outcomes_of(await history.protect()))
        world.on_change = lambda *_: None

    reports: list[dict[int, str]] = []
    with prune_history(action_seconds=5) as history:
        first, _ = history.candidates
        pruned = await history.prune(WatchedRun(at={-6: protect}), max_deletions=1)
        assert reports[0][first] == "protected"
        assert pruned
        assert outcomes_of(pruned)[first] == "reprotected"
        assert not history.unprotected


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="error", operation="list_actions_for_image", status=403),
        Fault(kind="action_never_ends", times=1),
    ],
    ids=str,
)
async def test_nothing_is_called_protected_of_which_it_is_unknown_whether_an_action_runs(
    fault: Fault,
) -> None:
    with prune_history(action_seconds=30) as history:
        history.world.sandbox.faults.add(fault)
        image_id = await kill_a_prune_run(history)
        report = await history.protect()
        [outcome] = [one for one in report.snapshots if one.image_id == image_id]
        assert outcome.outcome == "failed"
        assert "protection state unknown" in outcome.message


async def test_what_is_unprotected_is_protected_although_records_cannot_be_read_and_the_run_says_so() -> None:
    def fail(request: str, _key: str) -> None:
        if request == "read_latest_artifacts":
            raise httpx.ReadError("gone")

    with prune_history() as history:
        image_id = history.add_snapshot(days=1)
        history.world.sandbox.set_protection(image_id, delete=False)
        history.world.memory.before = fail
        report = await history.protect()
        assert outcomes_of(report)[image_id] == "protected"
        assert report.error
        assert report.error.message == "The records of prune runs could not be read: ReadError: gone"


async def test_a_record_that_cannot_be_read_is_an_error_of_its_own_project_only() -> None:
    with prune_history(action_seconds=30) as history:
        await kill_a_prune_run(history)
        store(history, NAME, "no record")
        other = await history.protect(name="another-name")
        own = await history.protect()
        assert other.error is None
        assert own.error
        assert f"The record {KEY} of a prune run cannot be read" in own.error.message
        assert (await history.prune()) is not None
