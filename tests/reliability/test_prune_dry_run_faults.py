"""Every fault, at every request of a run that may change nothing, once and always: it changes nothing."""

import asyncio
from collections.abc import Iterator
from typing import Literal

import httpx
import pytest

from sandbox import Fault
from tests.support.fault_matrix import FAULT_SPECS, Times
from tests.support.prune_world import World
from tests.support.watched_prune_runs import PruneHistory, prune_history
from tests.support.watched_runs import Happening, WatchedRun

_READS = ("list_images", "list_servers", "list_prices")  # in this order
_IN_CI = {"500", "404", "401", "truncated JSON"}
_OF_THE_NETWORK: dict[str, type[httpx.TransportError]] = {
    "connection refused": httpx.ConnectError,
    "slower than the timeout": httpx.ReadTimeout,
}
_TIMES: tuple[Times, ...] = ("once", "always")
_CELLS = [
    pytest.param(
        operation, name, times, marks=() if name in _IN_CI and times == "always" else pytest.mark.reliability
    )
    for operation in _READS
    for name in FAULT_SPECS
    for times in _TIMES
]
_MAX_REQUESTS = 40


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> Iterator[PruneHistory]:
    """A project with two snapshots that are candidates."""
    monkeypatch.setenv("HETZNER_CLOUD_RATE_LIMIT_TIMEOUT_SECONDS", "0.05")
    with prune_history() as made:
        yield made


def inject(history: PruneHistory, watched: WatchedRun, operation: str, name: str, times: Times) -> None:
    first = _READS.index(operation) + 1
    if error := _OF_THE_NETWORK.get(name):
        last = first if times == "once" else _MAX_REQUESTS
        watched.at |= dict.fromkeys(range(first, last + 1), _raising(error))
        return
    limits = {"times": 1} if times == "once" else {}
    injected = {**(FAULT_SPECS[name].injected or {}), "operation": operation, **limits}
    history.world.sandbox.faults.add(Fault.model_validate(injected))


def _raising(error: type[httpx.TransportError]) -> Happening:
    async def fail(_world: World, _run: WatchedRun) -> None:
        raise error("injected")

    return fail


@pytest.mark.parametrize("mode", ["a dry run", "a run inside the quarantine"])
@pytest.mark.parametrize(("operation", "name", "times"), _CELLS)
def test_nothing_is_changed_whatever_goes_wrong(
    history: PruneHistory,
    operation: str,
    name: str,
    times: Times,
    mode: Literal["a dry run", "a run inside the quarantine"],
) -> None:
    is_dry = mode == "a dry run"
    watched = WatchedRun(days=0 if is_dry else 7)
    inject(history, watched, operation, name, times)
    report = asyncio.run(history.prune(watched, dry_run=is_dry, max_deletions=5))
    assert watched.requests >= _READS.index(operation) + 1
    assert not watched.writes
    assert not history.unprotected
    assert sorted(history.world.sandbox.images) == history.ids
    is_kept_whole = operation != "list_prices" and times == "always"
    assert report
    assert report.error or not is_kept_whole
