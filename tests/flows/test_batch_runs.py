"""The flow runs of batches on a Prefect server: started once, cancelled, never overwritten."""

from collections.abc import AsyncIterator
from functools import partialmethod
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import FlowRun, State
from prefect.runtime import flow_run
from prefect.states import Completed, Pending, Running, Scheduled

from flows._batch_runs import BatchRuns
from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.errors import InvalidArgumentError
from tests.support.deployments import batch_deployed

pytestmark = pytest.mark.usefixtures("nothing_deployed")


@pytest.fixture
async def client(engine: object) -> AsyncIterator[PrefectClient]:
    async with get_client() as client:
        yield client


@pytest.fixture
async def deployed(nothing_deployed: None, client: PrefectClient) -> AsyncIterator[str]:
    async with batch_deployed(client) as pool:
        yield pool


async def state_of(client: PrefectClient, run: FlowRun) -> str:
    state = (await client.read_flow_run(run.id)).state
    assert state
    return state.type.value


async def begin(client: PrefectClient, state: State[None], **more: object) -> FlowRun:
    return await client.create_flow_run(protect_snapshots, state=state, **more)  # type: ignore[arg-type]


@pytest.mark.usefixtures("deployed")
async def test_a_start_whose_response_was_lost_starts_nothing_else(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = PrefectClient.create_flow_run_from_deployment
    lost: list[FlowRun] = []

    async def lose_response(*arguments: object, **named: object) -> FlowRun:
        run = await create(*arguments, **named)  # type: ignore[arg-type]
        if not lost:
            lost.append(run)
            raise httpx.ReadError("")
        return run

    monkeypatch.setattr(PrefectClient, "create_flow_run_from_deployment", lose_response)

    @flow
    async def fan_out() -> list[FlowRun]:
        runs = BatchRuns(client, UUID(flow_run.id), attempt=flow_run.run_count)
        with pytest.raises(httpx.ReadError):
            await runs.start({"projects": ["one"]}, batch=1, number=1)
        retried = BatchRuns(client, UUID(flow_run.id), attempt=flow_run.run_count + 1)
        return [
            await runs.start({"projects": ["one"]}, batch=1, number=1),
            await runs.start({"projects": ["one"]}, batch=1, number=2),
            await runs.start({"projects": ["two"]}, batch=2, number=1),
            await retried.start({"projects": ["one"]}, batch=1, number=1),
        ]

    started = await fan_out()
    assert started[0].id == lost[0].id
    assert len({run.id for run in started}) == 4
    assert [run.parameters["projects"] for run in started] == [["one"], ["one"], ["two"], ["one"]]


async def test_nothing_is_started_where_nothing_is_deployed(client: PrefectClient) -> None:
    runs = BatchRuns(client, None)
    for attempt in (runs.check_deployed(), runs.start({}, batch=1, number=1)):
        with pytest.raises(InvalidArgumentError, match="run `make deploy`"):
            await attempt


async def test_a_deleted_run_is_left_out_and_any_number_is_read(client: PrefectClient) -> None:
    begun = [await begin(client, Scheduled()) for _ in range(53)]
    await client.delete_flow_run(begun[0].id)
    found = await BatchRuns(client, None).read([run.id for run in begun])
    assert found.keys() == {run.id for run in begun[1:]}


@pytest.mark.parametrize(
    "state", [Pending(), Pending(name="Submitting"), Running()], ids=lambda one: one.name
)
async def test_a_run_in_progress_is_marked_crashed(client: PrefectClient, state: State[None]) -> None:
    begun = await begin(client, state)
    await BatchRuns(client, None).mark_crashed(begun, "no heartbeat")
    assert await state_of(client, begun) == "CRASHED"


@pytest.mark.parametrize(
    ("state", "then"),
    [(Scheduled(), "CANCELLED"), (Pending(), "CANCELLING"), (Running(), "CANCELLING")],
    ids=lambda value: getattr(value, "name", value),
)
async def test_a_run_is_cancelled(client: PrefectClient, state: State[None], then: str) -> None:
    begun = await begin(client, state)
    await BatchRuns(client, None).cancel(begun)
    assert await state_of(client, begun) == then


async def test_a_run_that_completed_a_moment_ago_stays_completed(client: PrefectClient) -> None:
    begun = await begin(client, Completed())
    await BatchRuns(client, None).mark_crashed(begun, "no heartbeat")
    await BatchRuns(client, None).cancel(begun)
    assert await state_of(client, begun) == "COMPLETED"


async def test_what_was_deleted_a_moment_ago_is_no_error(client: PrefectClient) -> None:
    begun = await begin(client, Running())
    await client.delete_flow_run(begun.id)
    await BatchRuns(client, None).mark_crashed(begun, "no heartbeat")


@pytest.mark.usefixtures("deployed")
async def test_all_unfinished_runs_are_cancelled_however_many_a_server_returns_at_once(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrefectClient, "read_flow_runs", partialmethod(PrefectClient.read_flow_runs, limit=2))
    others = await begin(client, Running())

    @flow
    async def fan_out() -> list[FlowRun]:
        runs = BatchRuns(client, UUID(flow_run.id))
        started = [await runs.start({}, batch=number, number=1) for number in range(5)]
        await client.set_flow_run_state(started[0].id, Running(), force=True)
        await client.set_flow_run_state(started[1].id, Completed(), force=True)
        await runs.cancel_all()
        return started

    states = [await state_of(client, run) for run in await fan_out()]
    assert states == ["CANCELLING", "COMPLETED", "CANCELLED", "CANCELLED", "CANCELLED"]
    assert await state_of(client, others) == "RUNNING"


async def test_a_wait_names_the_work_pool_and_what_to_do(client: PrefectClient, deployed: str) -> None:
    runs = BatchRuns(client, None)
    begun = await runs.start({}, batch=1, number=1)
    assert "no worker is online; start one" in await runs.describe_wait(begun)
    await client.send_worker_heartbeat(deployed, "a-worker", heartbeat_interval_seconds=30)
    assert "1 worker online" in await runs.describe_wait(begun)
    await client.update_work_pool(deployed, WorkPoolUpdate(is_paused=True))
    assert "paused" in await runs.describe_wait(begun)
    elsewhere = begun.model_copy(update={"work_pool_name": f"deleted-{uuid4()}"})
    assert (await runs.describe_wait(elsewhere)).endswith("': the Prefect API returned 404")
