"""One snapshot is pruned, below the engine: whatever happens, no survivor is left unprotected."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect.states import Cancelling

from hetzner_cloud.errors import InvalidArgumentError
from records.prune_locks import lock_name
from sandbox import Fault
from snapshot_protection.policy import Rule
from snapshot_protection.prune_report import ProjectPruneReport
from tests.support.prune_trials import ALL_BUT_THE_NEWEST, prune_trial
from tests.support.prune_trials import outcomes_of as outcomes_of_trial
from tests.support.prune_world import NAME, World
from tests.support.watched_prune_runs import PruneHistory, outcomes_of, prune_history
from tests.support.watched_runs import WatchedRun

LISTED_AGAIN, UNPROTECTED = 4, -6  # before this request; after that one


@pytest.fixture
def history() -> Iterator[PruneHistory]:
    with prune_history() as made:
        yield made


async def prune(history: PruneHistory, watched: WatchedRun, **limits: Any) -> ProjectPruneReport:
    report = await history.prune(watched, **limits)
    assert report
    return report


def when(number: int, happens: Callable[[WatchedRun], object]) -> WatchedRun:
    """Make a run in which something happens before its nth request, or after it if that is negative."""

    async def happening(_world: World, run: WatchedRun) -> None:
        happens(run)

    return WatchedRun(at={number: happening})


async def test_a_snapshot_whose_newer_sibling_is_gone_is_kept(history: PruneHistory) -> None:
    first, second = history.candidates
    watched = when(LISTED_AGAIN, lambda _run: history.world.sandbox.images.pop(history.newest))
    report = await prune(history, watched)
    assert outcomes_of(report) == {first: "pruned", second: "kept", history.newest: "kept"}
    assert watched.deleted == {first}
    assert not history.unprotected


async def test_nothing_is_deleted_when_the_policy_was_edited_while_the_plan_is_applied(
    history: PruneHistory,
) -> None:
    def edit(_run: WatchedRun) -> None:
        policy = history.world.policy
        rules = [*policy.rules, Rule(name="other")]
        history.world.policy = policy.model_copy(update={"rules": rules})

    watched = when(LISTED_AGAIN, edit)
    report = await prune(history, watched)
    assert not watched.writes
    assert {outcomes_of(report)[image_id] for image_id in history.candidates} == {"kept"}


async def test_nothing_is_deleted_when_the_policy_cannot_be_used_any_more(
    history: PruneHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_name: str) -> None:
        raise InvalidArgumentError("The snapshot policy 'default' cannot be used")

    watched = when(LISTED_AGAIN, lambda _: monkeypatch.setattr("flows._requirements.load_policy", fail))
    report = await prune(history, watched)
    assert not watched.writes
    assert report.error
    assert {outcomes_of(report)[image_id] for image_id in history.candidates} == {"queued"}


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(kind="delete_without_effect", times=1), "reprotected"),
        (Fault(kind="protected_again", times=1), "reprotected"),
        (Fault(kind="action_without_effect", times=1), "reprotected"),
        (Fault(kind="action_error", times=1), "reprotected"),
        (Fault(kind="drop_after", operation="delete_image", times=1), "pruned"),
        (Fault(kind="drop", operation="delete_image", times=1), "reprotected"),
        (Fault(kind="error", operation="delete_image", status=403, code="forbidden", times=1), "reprotected"),
        (Fault(kind="error", operation="delete_image", status=404, times=1), "reprotected"),
        (Fault(kind="error", operation="get_image", status=404, times=1), "reprotected"),
        (Fault(kind="error", operation="get_image", status=500, times=8), "reprotected"),
        (Fault(kind="error", operation="change_image_protection", status=404, times=1), "failed"),
    ],
    ids=lambda one: one if isinstance(one, str) else f"{one.kind} {one.operation} {one.status}",
)
async def test_whatever_goes_wrong_no_survivor_is_left_unprotected(
    history: PruneHistory, fault: Fault, outcome: str
) -> None:
    history.world.sandbox.faults.add(fault)
    watched, first = WatchedRun(), history.candidates[0]
    report = await prune(history, watched, max_deletions=1)
    assert outcomes_of(report)[first] == outcome
    assert (first in history.world.sandbox.images) == (outcome != "pruned")
    assert watched.deleted <= {first}
    assert [one for one in watched.writes if one.startswith("DELETE")] in ([], [f"DELETE /v1/images/{first}"])
    assert not history.unprotected


async def test_an_accepted_deletion_that_did_nothing_is_not_recorded_as_pruned(
    history: PruneHistory,
) -> None:
    history.world.sandbox.faults.add(Fault(kind="delete_without_effect"))
    report = await prune(history, WatchedRun())
    assert {outcomes_of(report)[image_id] for image_id in history.candidates} == {"reprotected"}
    assert not [one.key for one in history.world.memory.artifacts if "pruned" in (one.key or "")]
    assert not history.unprotected


async def test_a_read_only_token_stops_the_project_at_its_first_rejection(history: PruneHistory) -> None:
    history.world.sandbox.faults.add(
        Fault(kind="error", operation="change_image_protection", status=403, code="token_readonly")
    )
    watched, (first, second) = WatchedRun(), history.candidates
    report = await prune(history, watched)
    assert outcomes_of(report) == {first: "failed", second: "queued", history.newest: "kept"}
    assert len(watched.writes) == 1
    assert not history.unprotected


async def test_a_snapshot_that_cannot_be_protected_again_is_reported_as_left_unprotected(
    history: PruneHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted: list[object] = []
    monkeypatch.setattr("flows._prune_snapshot.emit_left_unprotected", lambda *args: emitted.append(args))
    faults = history.world.sandbox.faults
    faults.add(Fault(kind="error", operation="delete_image", status=403, code="forbidden"))
    faults.add(Fault(kind="error", operation="change_image_protection", status=401, after=1))
    report = await prune(history, WatchedRun())
    first, second = history.candidates
    assert outcomes_of(report)[first] == "left_unprotected"
    assert outcomes_of(report)[second] == "queued"
    assert len(emitted) == 1
    faults.clear()
    again = await prune(history, WatchedRun())
    assert not history.unprotected
    assert again.error is None


async def test_a_snapshot_on_which_an_action_still_runs_is_not_reported_as_protected_again() -> None:
    with prune_history(action_seconds=60, lock_while_running=True) as history:
        first, second = history.candidates
        report = await prune(history, WatchedRun(), timeout_seconds=0.1)
        assert outcomes_of(report) == {first: "left_unprotected", second: "queued", history.newest: "kept"}
        history.world.time.advance(60)
        assert history.unprotected == [first]
        again = await prune(history, WatchedRun(days=30), timeout_seconds=120)
        assert (again.error is None, history.unprotected) == (True, [])


async def test_what_an_earlier_run_left_is_protected_also_if_the_api_once_does_not_find_it(
    history: PruneHistory,
) -> None:
    faults = history.world.sandbox.faults
    faults.add(Fault(kind="error", operation="delete_image", status=403, code="forbidden"))
    faults.add(Fault(kind="error", operation="change_image_protection", status=401, after=1))
    await prune(history, WatchedRun())
    assert history.unprotected == history.candidates[:1]
    faults.clear()
    faults.add(Fault(kind="error", operation="get_image", status=404, times=1))
    await prune(history, WatchedRun(days=30))
    assert not history.unprotected


async def test_a_dry_run_settles_what_is_protected_by_then_and_reports_what_is_not() -> None:
    with prune_history(action_seconds=30) as history:
        history.kill_when("unprotected")
        assert await history.prune() is None
        history.world.jump(1)
        found = await history.prune(dry_run=True)
        assert found
        assert found.error
        assert "is unprotected. Protect it" in found.error.message
        await history.protect()
        [line] = (await prune(history, WatchedRun(), dry_run=True)).recovered
        assert line.endswith("is protected")
        assert not (await prune(history, WatchedRun(), dry_run=True)).recovered


async def test_a_run_that_prefect_no_longer_calls_running_changes_nothing(history: PruneHistory) -> None:
    watched = when(LISTED_AGAIN, lambda run: history.world.memory.states.update({run.id: Cancelling()}))
    report = await prune(history, watched)
    assert report.error
    assert not watched.writes


async def test_a_run_that_is_called_cancelling_after_it_removed_protection_protects_again(
    history: PruneHistory,
) -> None:
    watched = when(UNPROTECTED, lambda run: history.world.memory.states.update({run.id: Cancelling()}))
    report = await prune(history, watched, max_deletions=1)
    assert outcomes_of(report)[history.candidates[0]] == "reprotected"
    assert not history.unprotected


async def test_a_cancelled_run_protects_again_before_it_ends() -> None:
    with prune_history(action_seconds=5) as history:
        watched = when(UNPROTECTED, lambda _run: running.cancel())
        running = asyncio.create_task(history.prune(watched))
        with pytest.raises(asyncio.CancelledError):
            await running
        assert sorted(history.world.sandbox.images) == history.ids
        history.world.time.advance(3_600)
        assert not history.unprotected


async def test_a_run_that_loses_its_lock_after_it_removed_protection_protects_again(
    history: PruneHistory,
) -> None:
    watched = when(UNPROTECTED, lambda _run: history.world.memory.variables.pop(lock_name(NAME)))
    report = await prune(history, watched)
    first, second = history.candidates
    assert outcomes_of(report) == {first: "reprotected", second: "queued", history.newest: "kept"}
    assert not watched.deleted
    assert not history.unprotected


async def test_a_snapshot_of_a_rule_that_does_not_protect_is_deleted_without_removing_protection(
    history: PruneHistory,
) -> None:
    for image_id in history.ids:
        history.world.sandbox.images[image_id] |= {
            "labels": {"env": "scratch"},
            "protection": {"delete": False},
        }
    report = await prune(history, WatchedRun())
    assert not history.world.sandbox.calls("change_image_protection")
    assert {outcomes_of(report)[image_id] for image_id in history.candidates} == {"pruned"}


@pytest.mark.parametrize(("status", "code"), [(403, "token_readonly"), (401, "unauthorized")])
async def test_what_was_never_protected_is_not_reported_as_unprotected_by_the_run_when_the_token_is_rejected(
    status: int, code: str
) -> None:
    rule = ALL_BUT_THE_NEWEST.model_copy(update={"protect": False})
    with prune_trial(rule, protected=False) as trial:
        trial.world.sandbox.faults.add(
            Fault(kind="error", operation="delete_image", status=status, code=code)
        )
        report = await trial.apply()
        first, second, newest = trial.ids
        assert outcomes_of_trial(report) == {first: "left_unprotected", second: "queued", newest: "kept"}
        assert "it was not protected before, and could not be protected" in report.outcomes[0].message
        assert not trial.events
        assert not (await trial.recover()).lines


@pytest.mark.parametrize("fault", ["drop", "delete_late"])
async def test_what_may_be_deleted_later_stays_on_record_when_it_cannot_be_protected(fault: Any) -> None:
    rule = ALL_BUT_THE_NEWEST.model_copy(update={"protect": False})
    with prune_trial(rule, protected=False) as trial:
        for kind, operation in ((fault, "delete_image"), ("drop", "change_image_protection")):
            trial.world.sandbox.faults.add(Fault(kind=kind, operation=operation))
        await trial.apply()
        assert [ids for _, ids, _ in trial.events] == [[trial.ids[0]]]


async def test_nothing_is_on_record_as_in_progress_when_the_run_may_not_begin_with_it() -> None:
    with prune_trial() as trial:

        async def cancel(world: World, run: WatchedRun) -> None:
            world.memory.states[run.id] = Cancelling()

        await trial.apply(at={1: cancel})
        assert not trial.run.writes
        trial.world.sandbox.delete_image(trial.ids[0])  # by another user
        assert not (await trial.recover()).lines


@pytest.mark.parametrize("times", [1, None])
async def test_a_removal_whose_response_was_unreadable_does_not_take_effect_after_the_run(
    times: int | None,
) -> None:
    """As long as it runs, the snapshot is still protected, and cannot be protected again."""
    with prune_trial(snapshots=2, action_seconds=20, lock_while_running=True) as trial:
        fault = Fault(kind="wrong_shape", operation="change_image_protection", times=times)
        trial.world.sandbox.faults.add(fault)
        report = await trial.apply()
        trial.world.time.advance(60)
        first = trial.ids[0]
        reported = [ids for _, ids, _ in trial.events]
        assert not trial.unprotected or reported == [[first]], outcomes_of(report)
        trial.world.sandbox.faults.clear()
        await trial.recover()
        assert not trial.unprotected
