"""Every fault, at every request of a dry prune run, once and always: no request is to change anything."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal
from unittest.mock import AsyncMock

import pytest

from flows._observe_project import PruneOptions
from flows._prune_lock import ThisRun
from flows._requirements import RunRequirements
from flows.prune_snapshots import _PruneRun
from sandbox import Fault
from sandbox.clock import rfc3339
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.prune_plan import PruneLimits
from tests.support.fault_matrix import FAULT_SPECS
from tests.support.prune_reference import POLICY
from tests.support.prune_world import World
from tests.support.watched_runs import WatchedRun, within

_READS = ("list_images", "list_servers", "list_prices")
_IN_CI = {"500", "404", "401", "truncated JSON"}
_CELLS = [
    pytest.param(
        operation, name, times, marks=() if name in _IN_CI and times is None else pytest.mark.reliability
    )
    for operation in _READS
    for name, spec in FAULT_SPECS.items()
    if spec.injected and spec.injected["kind"] != "delay"
    for times in (1, None)
]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A project with two snapshots that are due, if there is no quarantine."""
    monkeypatch.setenv("HETZNER_CLOUD_RATE_LIMIT_TIMEOUT_SECONDS", "0.05")
    monkeypatch.setattr("flows.prune_snapshots.publish", AsyncMock(return_value={}))
    made = World()
    for days in (3, 2, 1):
        made.sandbox.add_snapshot(
            created=rfc3339((made.now() - timedelta(days=days)).timestamp()),
            created_from={"id": 40_000_001, "name": "db-1"},
            labels={"env": "dev"},
            protection={"delete": True},
        )
    with made.entered():
        yield made


@pytest.mark.parametrize(("operation", "name", "times"), _CELLS)
def test_a_dry_run_changes_nothing_whatever_goes_wrong(
    world: World, operation: str, name: str, times: Literal[1] | None
) -> None:
    injected = {**(FAULT_SPECS[name].injected or {}), "operation": operation, "times": times}
    world.sandbox.faults.add(Fault.model_validate(injected))
    requirements = RunRequirements(NamedPolicy("default", POLICY), clock=world.now)
    options = PruneOptions(requirements, PruneLimits(0, 5), dry_run=True, timeout_seconds=20)
    watched = WatchedRun()
    looking = _PruneRun([world.project], options, ThisRun(watched.id, "dry")).look()
    asyncio.run(within(watched, looking))
    assert world.sandbox.calls(operation)
    assert not watched.writes
    assert not world.unprotected_by_us
    assert len(world.sandbox.images) == 3
