"""The lock of a project: one run holds it, and one that is gone does not hold it forever."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Crashed, Running

from playground.server import PrefectServer
from records.prune_locks import (
    AnotherRunPrunesError,
    Holder,
    LockLostError,
    PruneLock,
    acquire_lock,
    lock_name,
)
from tests.support.example_flow import unprotect_and_protect
from tests.support.prefect_memory import PrefectMemory


@pytest.fixture
def project(engine: PrefectServer) -> str:
    return f"lock-{uuid4().hex[:8]}"


async def a_run(state: str = "running") -> Holder:
    async with get_client() as client:
        known: State[object] = Crashed() if state == "crashed" else Running()
        run = await client.create_flow_run(unprotect_and_protect, parameters={}, state=known)
        await client.set_flow_run_state(run.id, known, force=True)
    return Holder(flow_run_id=run.id, flow_run_name=run.name)


def let_pass(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let so much time pass that these bounds are over."""
    for name in names:
        monkeypatch.setattr(f"records.prune_locks.{name}", timedelta(seconds=-2))


async def test_of_many_runs_that_take_a_lock_at_once_one_gets_it_and_the_others_name_it(project: str) -> None:
    holders = [await a_run() for _ in range(8)]
    taken = await asyncio.gather(*(acquire_lock(project, one) for one in holders), return_exceptions=True)
    [mine] = [one for one in taken if isinstance(one, PruneLock)]
    others = [one for one in taken if isinstance(one, AnotherRunPrunesError)]
    assert len(others) == len(holders) - 1
    assert all(f"{mine.holder} prunes project '{project}'" in str(one) for one in others)


async def test_a_released_lock_is_free(project: str) -> None:
    lock = await acquire_lock(project, await a_run())
    await lock.renew()
    await lock.release()
    await (await acquire_lock(project, await a_run())).release()


async def test_a_run_without_a_sign_of_life_loses_its_lock_and_notices_it(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = await acquire_lock(project, await a_run())
    let_pass(monkeypatch, "GONE_AFTER", "FINISHED_GONE_AFTER")
    second = await acquire_lock(project, await a_run())
    with pytest.raises(LockLostError):
        await silent.require()
    silent.renewed = 0.0
    with pytest.raises(LockLostError):
        await silent.require()
    await silent.release()
    await second.require()


@pytest.mark.parametrize("state", ["crashed", "deleted"])
async def test_a_run_that_prefect_calls_finished_holds_its_lock_for_less_time(
    project: str, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    holder = await a_run("crashed")
    if state == "deleted":
        holder = holder.model_copy(update={"flow_run_id": UUID(int=7)})
    await acquire_lock(project, holder)
    with pytest.raises(AnotherRunPrunesError):
        await acquire_lock(project, await a_run())
    let_pass(monkeypatch, "FINISHED_GONE_AFTER")
    await acquire_lock(project, await a_run())


async def test_a_running_run_keeps_its_lock_for_longer(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await acquire_lock(project, await a_run())
    let_pass(monkeypatch, "FINISHED_GONE_AFTER")
    with pytest.raises(AnotherRunPrunesError):
        await acquire_lock(project, await a_run())


async def test_a_run_that_starts_again_takes_the_lock_of_its_earlier_attempt(project: str) -> None:
    holder = await a_run()
    first = await acquire_lock(project, holder)
    again = await acquire_lock(project, holder.model_copy(update={"attempt": uuid4()}))
    with pytest.raises(LockLostError):
        await first.renew()
    await again.renew()


async def test_a_lock_whose_creation_was_not_confirmed_is_recognized(project: str) -> None:
    holder = await a_run()
    first = await acquire_lock(project, holder)
    assert (await acquire_lock(project, holder)).variable_id == first.variable_id


async def test_an_unreadable_lock_is_named_and_ends_too(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with get_client() as client:
        await client.request(
            "POST", "/variables/", json={"name": lock_name(project), "value": {"made": "by hand"}}
        )
    with pytest.raises(AnotherRunPrunesError, match=lock_name(project)):
        await acquire_lock(project, await a_run())
    let_pass(monkeypatch, "FINISHED_GONE_AFTER")
    await acquire_lock(project, await a_run())


@pytest.mark.parametrize("edit", ["renamed", "edited", "made another run's"])
async def test_a_lock_that_was_edited_is_lost(monkeypatch: pytest.MonkeyPatch, edit: str) -> None:
    memory = PrefectMemory(lambda: datetime.now(UTC), lambda *_request: None)
    monkeypatch.setattr("records.prune_locks.get_client", memory.get_client)
    lock = await acquire_lock("prod", Holder(flow_run_id=UUID(int=1), flow_run_name="first"))
    await lock.require()
    other = Holder(flow_run_id=UUID(int=2), flow_run_name="second").model_dump(mode="json")
    changes: dict[str, dict[str, object]] = {
        "renamed": {"name": "another_name"},
        "edited": {"value": "free"},
        "made another run's": {"value": other},
    }
    found = memory.variables.pop(lock_name("prod")).model_copy(update=changes[edit])
    memory.variables[found.name] = found
    with pytest.raises(LockLostError):
        await lock.require()
