"""Prune runs, other users, the clock and faults in any order: only what may be deleted is, and no survivor
is left unprotected.

All that must hold is checked by what the sandbox saw, with a second implementation of the rules.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from prefect.states import Cancelling

from flows._approval import Approval
from flows._observe_project import PruneOptions
from flows._protect_project import ProtectionOptions, protect_project
from flows._prune_lock import ThisRun
from flows._requirements import RunRequirements
from flows.prune_snapshots import _PruneRun
from hetzner_cloud.errors import HetznerCloudError
from records.exemptions import save_exemptions
from records.prune_locks import lock_name
from sandbox import Fault
from sandbox.clock import rfc3339
from snapshot_protection.exemptions import Exemption, ExemptionRecord
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.prune_plan import PruneApprovalRequest, PruneLimits
from snapshot_protection.prune_report import ProjectPruneReport, PruneReport, SnapshotsNotPrunedError
from tests.support.figures import example_of
from tests.support.prune_reference import POLICY, is_unchanged, must_be_protected, was_long_enough
from tests.support.prune_world import NAME, ProcessGoneError, WatchedRun, World, current_run

_SERVERS = ({"id": 40_000_001, "name": "db-1"}, {"id": 40_000_002, "name": "web-1"})
_JUMPS = [0.2, 6, 24, 47, 49, 24 * 8, -0.2, -2, -72]  # hours
_DAYS = [0, 0, 0, 0.5, 3]
_SELECTED = {env: {"env": env} for env in ("dev", "dev", "prod", "scratch", "kept")}
_GARBAGE = {"status": 17, "labels": ["x"], "created": "soon", "created_from": {"id": "x", "name": 3}}


@dataclass(frozen=True)
class Other:
    """Another user changes something; `which` chooses among what there is."""

    what: str
    which: int = 0

    async def __call__(self, world: World, _run: WatchedRun | None = None) -> None:
        images = sorted(world.sandbox.images)
        if self.what == "add":
            add_snapshot(world, self.which)
        elif self.what == "add server" and images:
            world.sandbox.add_server(image=images[self.which % len(images)])
        elif self.what == "delete server" and world.sandbox.servers:
            servers = sorted(world.sandbox.servers)
            world.sandbox.delete_server(servers[self.which % len(servers)])
        elif self.what.split()[0] in _CHANGES and images:
            image_id = images[self.which % len(images)]
            world.touch(image_id)
            await _CHANGES[self.what.split()[0]](world, image_id, self.which)


async def _relabel(world: World, image_id: int, which: int) -> None:
    envs = sorted(_SELECTED)
    world.sandbox.images[image_id]["labels"] = {"env": envs[which // 7 % len(envs)]}


async def _set(world: World, image_id: int, *, delete: bool) -> None:
    world.sandbox.set_protection(image_id, delete=delete)


async def _delete(world: World, image_id: int, _which: int) -> None:
    world.sandbox.delete_image(image_id)


async def _describe(world: World, image_id: int, which: int) -> None:
    world.sandbox.images[image_id]["description"] = f"described {which}"


async def _garble(world: World, image_id: int, which: int) -> None:
    name = sorted(_GARBAGE)[which // 7 % len(_GARBAGE)]
    world.sandbox.images[image_id][name] = _GARBAGE[name]


async def _exempt(world: World, image_id: int, which: int) -> None:
    until = world.now() + timedelta(hours=1 + which % 90)
    exemption = Exemption(
        image_id=image_id, until=until, reason="tried", approved_by="someone", flow_run_id=uuid4()
    )
    record = ExemptionRecord(project=NAME, exemptions=(exemption,))
    await world.within(WatchedRun(), save_exemptions(record))
    world.exempt[image_id] = max(until, world.exempt.get(image_id, until))


_CHANGES: dict[str, Callable[[World, int, int], Awaitable[None]]] = {
    "relabel": _relabel,
    "protect": lambda world, image_id, _which: _set(world, image_id, delete=True),
    "unprotect": lambda world, image_id, _which: _set(world, image_id, delete=False),
    "delete": _delete,
    "describe": _describe,
    "garble": _garble,
    "exempt": _exempt,
}


def add_snapshot(world: World, which: int, *, env: str = "") -> int:
    """Add a snapshot; of most, nothing is uncertain."""
    made: dict[str, Any] = {
        "created": rfc3339(world.time() - 3_600 * (which % 400)),
        "created_from": dict(_SERVERS[which % len(_SERVERS)]),
        "labels": {"env": env or sorted(_SELECTED)[which // 3 % len(_SELECTED)]},
        "protection": {"delete": which % 4 > 0},
    }
    odd: dict[int, dict[str, Any]] = {
        0: {"status": "unavailable"},
        1: {"created_from": None},
        2: {"created": rfc3339(world.time() + 7_200)},
        3: {"deleted": rfc3339(world.time())},
    }
    return world.sandbox.add_snapshot(**(made if env else made | odd.get(which % 29, {})))


@dataclass(frozen=True)
class Jump:
    """The clock jumps."""

    hours: float

    async def __call__(self, world: World, _run: WatchedRun | None = None) -> None:
        world.jump(self.hours)


@dataclass(frozen=True)
class Happens:
    """Something comes in between; the run is frozen for some minutes where another one takes its place."""

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
                await asyncio.create_task(protect(world))
            case _:
                pass


async def protect(world: World) -> None:
    """Run a protection run, to its report: what goes wrong in it may be the API's, never its own."""
    report = await world.within(WatchedRun(), protect_project(world.project, protecting(world)))
    if report.error and report.error.code == "internal_error":
        world.wrong.append(f"a protection run broke: {report.error.message}")


def protecting(world: World) -> ProtectionOptions:
    return ProtectionOptions("", dry_run=False, timeout_seconds=20, max_groups=9, show_progress=False,
                             requirements=requirements(world))  # fmt: skip


def requirements(world: World) -> RunRequirements:
    return RunRequirements(NamedPolicy("default", POLICY), clock=world.now)


@dataclass
class Tried:
    """A prune run, and what must hold of it."""

    world: World
    watched: WatchedRun
    dry_run: bool = False
    approval: bool = False
    max_deletions: int = 2
    between: tuple[Other, ...] = ()
    changed: set[int] = field(default_factory=set)

    async def run(self) -> None:
        """Run it to whatever end, and check its report if there is one."""
        _TRIED[self.watched.id] = self
        self.watched.task = asyncio.create_task(self.world.within(self.watched, self._prune()))
        try:
            state = await self.watched.task
        except asyncio.CancelledError:
            return
        except (ProcessGoneError, HetznerCloudError):
            return
        finally:
            _PRUNED.update(self.watched.deleted)
            if self.dry_run and self.watched.writes:
                self.world.wrong.append(f"a dry run sent {self.watched.writes}")
        data = state.data
        report = data.report if isinstance(data, SnapshotsNotPrunedError) else data
        if not self.watched.is_gone and isinstance(report, PruneReport):
            self.world.wrong += untruths(self, report.projects[0])

    async def _prune(self) -> Any:
        limits = PruneLimits(self.watched.days, self.max_deletions)
        options = PruneOptions(requirements(self.world), limits, self.dry_run, 20)
        pruning = _PruneRun([self.world.project], options, ThisRun(self.watched.id, "tried"))
        return await (pruning.look() if self.dry_run else pruning.apply(with_approval=self.approval))

    def check_change(self, image_id: int, what: str) -> None:
        """See that a snapshot may be changed that is about to be."""
        world, run = self.world, self.watched
        now, listed = max(run.latest, world.now()), run.listed
        self.changed.add(image_id)
        history = [*world.observations[: run.known], *([run.own] if run.own else [])]
        must_hold = {
            "a dry run": not self.dry_run,
            "more than the limit": len(self.changed) <= self.max_deletions,
            "not approved": image_id in run.approved,
            "not allowed to": run.was_allowed,
            "not listed": listed is not None and image_id in listed.images,
        }
        if listed and all(must_hold.values()):
            must_hold |= {
                "changed": is_unchanged(run.approved[image_id], listed.images[image_id]),
                "no candidate": image_id in listed.candidates(now),
                "the last of its group": bool(listed.newer(image_id, now)),
                "not due": was_long_enough(image_id, history, run.days, now),
            }
            seen = run.seen.get(image_id, (None, 0))[0]
            if what == "deleted":
                must_hold["changed since"] = bool(seen and is_unchanged(listed.images[image_id], seen))
        world.wrong += [f"{image_id} is {what}: {why}" for why, held in must_hold.items() if not held]


_TRIED: dict[Any, Tried] = {}
_PRUNED: set[int] = set()


async def approve(_key: str, _form: str) -> Approval:
    """Answer a request for approval, after a while."""
    tried = _TRIED[current_run().id]
    for one in tried.between:
        await one(tried.world)
    tried.between = ()
    return Approval(decision="apply", approved_by="someone")


async def save(_key: str, request: PruneApprovalRequest, _page: str) -> None:
    """Keep what is approved: each snapshot as it was when the plan was made."""
    run = current_run()
    if run.is_gone:
        raise ProcessGoneError
    if run.listed and not (request.used and _TRIED[run.id].approval):
        ids = [one.image_id for one in request.plan.snapshots]
        run.approved = {image_id: run.listed.images[image_id] for image_id in ids}


async def no_request(*_given: object) -> None:
    """Find nothing."""


async def nothing(*_given: object, **_named: object) -> Any:
    """Do nothing."""
    return {}


def untruths(tried: Tried, report: ProjectPruneReport) -> list[str]:
    """Return where a report and the sandbox differ."""
    world, run = tried.world, tried.watched
    ids = [one.image_id for one in report.outcomes]
    wrong = [f"two outcomes: {ids}"] if len(set(ids)) < len(ids) else []
    if report.outcomes and run.observed and set(ids) != set(run.observed.images):
        wrong.append(f"outcomes of {ids}, listed {sorted(run.observed.images)}")
    wrong += [
        f"{one.image_id} is reported {one.outcome} ({one.message}): {why}"
        for one in report.outcomes
        if (why := _untrue(world, run, one.image_id, one.outcome))
    ]
    reported = {one.image_id: one.outcome for one in report.outcomes}
    return wrong + [
        f"{image_id} was deleted, and is reported {reported.get(image_id)}"
        for image_id in run.deleted
        if reported.get(image_id) not in {"pruned", "left_unprotected"}
    ]


def _untrue(world: World, run: WatchedRun, image_id: int, outcome: str) -> str:
    exists, changed = image_id in world.sandbox.images, image_id in run.changed
    exists = exists and world.sandbox.images[image_id]["deleted"] is None
    image, _ = run.seen.get(image_id, (None, 0))
    is_protected = image is not None and image["protection"]["delete"]
    match outcome:
        case "pruned" | "deleted" if exists:
            return "it exists"
        case "pruned" if not changed:
            return "no request was sent"
        case "kept" | "in_use" | "quarantined" | "queued" | "would_prune" if changed:
            return f"{run.writes}"
        case "reprotected" | "failed" if not is_protected and changed:
            return f"last seen {image and image['protection']}"
    return ""


_WHICH = st.integers(0, 399)
_OTHERS = st.builds(
    Other, st.sampled_from(["add", "add server", "delete server", *_CHANGES, "unprotect", "delete"]), _WHICH
)
_MEANWHILE = st.builds(
    Other, st.sampled_from(["delete", "relabel", "describe", "exempt", "add server", "garble"]), _WHICH
)
_ENDS = ["cancelled", "killed", "timeout", "called cancelling", "lock deleted"]
_BETWEEN = st.one_of(
    _OTHERS,
    st.builds(Jump, st.sampled_from(_JUMPS)),
    st.builds(Happens, st.sampled_from(_ENDS)),
    st.builds(
        Happens,
        st.sampled_from(["another prune run", "another dry run", "protection run"]),
        st.sampled_from([0, 6]),
    ),
)
_AT = st.dictionaries(st.integers(-26, 26).filter(bool), _BETWEEN, max_size=3)
_OPERATIONS = ["list_images", "list_servers", "get_image", "change_image_protection", "delete_image", "poll"]
_FAULTS = st.one_of(
    st.builds(
        Fault,
        kind=st.sampled_from(["drop", "drop_after", "cut", "truncated", "wrong_shape", "html", "empty"]),
        operation=st.sampled_from(_OPERATIONS),
        after=st.integers(0, 3),
        times=st.sampled_from([1, 1, 2, 7, None]),
    ),
    st.builds(
        Fault,
        kind=st.just("error"),
        operation=st.sampled_from(_OPERATIONS),
        status=st.sampled_from([401, 403, 404, 409, 423, 500, 503]),
        after=st.integers(0, 3),
        times=st.sampled_from([1, 1, 2, 7, None]),
    ),
    st.builds(
        Fault, kind=st.just("error"), operation=st.sampled_from(_OPERATIONS), status=st.just(429),
        after=st.integers(0, 3), times=st.sampled_from([1, 2]),
    ),
    st.builds(
        Fault,
        kind=st.sampled_from(
            ["delete_without_effect", "delete_late", "protected_again", "action_error",
             "action_without_effect",
             "action_never_ends", "action_status", "action_unknown", "image_deleted"]
        ),
        after=st.integers(0, 2),
        times=st.sampled_from([1, 2, None]),
        seconds=st.sampled_from([0, 1, 30]),
        takes_effect=st.booleans(),
    ),
)  # fmt: skip


class PruneModel(RuleBasedStateMachine):
    """One project; each example is a history of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        logging.disable(logging.CRITICAL)  # pytest keeps each line of thousands of runs
        self.stack.callback(logging.disable, logging.NOTSET)
        self.runner = self.stack.enter_context(asyncio.Runner())

    @initialize(
        seconds=st.sampled_from([0, 0, 2]), lock=st.booleans(), ages=st.lists(_WHICH, min_size=3, max_size=5)
    )
    def begin(self, seconds: float, lock: bool, ages: list[int]) -> None:  # noqa: FBT001 - as below
        example_of("prune runs, other users, clocks and faults in any order")
        _TRIED.clear()
        self.world = World(action_seconds=seconds, lock_while_running=lock)
        self.world.on_change = lambda run, image_id, what: _TRIED[run.id].check_change(image_id, what)
        self.stack.enter_context(self.world.entered())
        for name, instead in _INSTEAD.items():
            self.stack.enter_context(patch(name, instead))
        for age in ages:
            add_snapshot(self.world, age // 2 * 2 + 50, env="dev")

    @rule(other=_OTHERS)
    def another_user_changes_something(self, other: Other) -> None:
        self._do(other(self.world))

    @rule(hours=st.sampled_from(_JUMPS))
    def the_clock_jumps(self, hours: float) -> None:
        self._do(Jump(hours)(self.world))

    @rule(fault=_FAULTS)
    def something_goes_wrong_from_now_on(self, fault: Fault) -> None:
        self.world.sandbox.faults.add(fault)

    @rule(days=st.sampled_from(_DAYS), at=_AT)
    def a_dry_run(self, days: float, at: dict[int, Any]) -> None:
        self._do(Tried(self.world, WatchedRun(days, at=dict(at)), dry_run=True).run())

    @rule(
        days=st.sampled_from(_DAYS),
        at=_AT,
        approval=st.booleans(),
        most=st.sampled_from([1, 2, 5]),
        between=st.lists(_OTHERS, max_size=2).map(tuple),
    )
    def a_prune_run(
        self,
        days: float,
        at: dict[int, Any],
        approval: bool,  # noqa: FBT001 - hypothesis passes it by name
        most: int,
        between: tuple[Other, ...],
    ) -> None:
        watched = WatchedRun(days, at=dict(at))
        self._do(Tried(self.world, watched, approval=approval, max_deletions=most, between=between).run())
        self.world.sandbox.faults.clear()

    @rule(
        what=st.sampled_from(["killed", "killed", "cancelled", "lock deleted", "called cancelling"]),
        nth=st.integers(3, 14),
        sign=st.sampled_from([1, -1]),
    )
    def a_prune_run_is_ended(self, what: str, nth: int, sign: int) -> None:
        """End a run at a request, before or after that was carried out; time passes before the next run."""
        self.world.sandbox.faults.clear()
        watched = WatchedRun(at={sign * nth: Happens(what)})
        self._do(Tried(self.world, watched, max_deletions=5).run())
        left = set() if watched.is_gone else self.world.unprotected_by_us - self.world.exempt.keys()
        assert not left & watched.changed, left
        self.world.jump(0.2)
        self._do(Tried(self.world, WatchedRun(days=3)).run())  # it recovers what a killed run left
        left = self.world.unprotected_by_us - self.world.exempt.keys()
        assert not left, left

    @rule(at=st.dictionaries(st.integers(3, 14), _MEANWHILE, min_size=2, max_size=5))
    def a_prune_run_meets_another_user(self, at: dict[int, Any]) -> None:
        self._do(Tried(self.world, WatchedRun(at=dict(at)), max_deletions=5).run())

    @rule()
    def a_protection_run(self) -> None:
        """Protect all, also what an action is about to unprotect; what no one can read is as it should be."""
        world = self.world
        world.sandbox.faults.clear()
        for image in world.sandbox.images.values():
            image |= {
                name: image[name] if image[name] != _GARBAGE[name] else _SOUND[name] for name in _GARBAGE
            }
        exempt = {image_id for image_id, until in world.exempt.items() if world.now() < until}
        self._do(protect(world))
        world.time.advance(3_600)
        unprotected = [
            image_id
            for image_id, image in world.sandbox.images.items()
            if not image["protection"]["delete"] and must_be_protected(image)
            and image_id not in exempt
        ]  # fmt: skip
        assert not unprotected, unprotected

    def _do(self, work: Awaitable[Any]) -> None:
        async def do() -> None:
            await work

        self.runner.run(do())
        assert not self.world.wrong, self.world.wrong

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.a_protection_run()
        finally:
            self.stack.close()


_SOUND = {
    "status": "available",
    "labels": {"env": "dev"},
    "created": rfc3339(1_700_000_000.0),
    "created_from": None,
}
_INSTEAD = {
    "flows._prune_approval.save_request": save,
    "flows._prune_approval.request_approval": approve,
    "flows._prune_approval.load_request": no_request,
    "flows.prune_snapshots.publish": nothing,
    "flows._prune_snapshot.emit_left_unprotected": lambda *_given: None,
    "flows._prune_recovery.emit_left_unprotected": lambda *_given: None,
}


def settings_for(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=14,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def test_only_what_may_be_pruned_is_and_every_survivor_is_protected() -> None:
    _PRUNED.clear()
    run_state_machine_as_test(PruneModel, settings=settings_for(15))
    assert len(_PRUNED) > 1, "no run pruned anything: the model tries nothing"


@pytest.mark.reliability
def test_only_what_may_be_pruned_is_in_many_histories() -> None:
    run_state_machine_as_test(PruneModel, settings=settings_for(1_000))
