"""The shared client: one for a project on an event loop, for as long as it is used."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.client_pool import _LEASES, _THROTTLES, pooled_client
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import InvalidArgumentError, ServerError
from tests.support.api_json import ENDPOINT, TOKEN, image_json


def lent(
    token: str = TOKEN, endpoint: str = ENDPOINT, reserve: float = 0.1, label: str = "this project"
) -> AbstractAsyncContextManager[HetznerCloudClient]:
    return pooled_client(ClientConfig(SecretStr(token), endpoint, reserve, label))


def is_closed(client: HetznerCloudClient) -> bool:
    return client._transport._http.is_closed


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    yield
    assert not any(_LEASES.values())
    assert not any(_THROTTLES.values())


@pytest.fixture
async def hetzner() -> AsyncIterator[respx.MockRouter]:
    async with respx.mock(base_url=ENDPOINT) as router:
        router.get("/images/4711").respond(json={"image": image_json()})
        yield router


async def test_nested_users_share_a_client_that_the_last_one_closes(hetzner: respx.MockRouter) -> None:
    async with lent() as outer:
        async with lent() as inner:
            assert inner is outer
        assert not is_closed(outer)
        assert (await outer.get_image(4711)).id == 4711
    assert is_closed(outer)


async def test_the_last_to_leave_closes_the_client_when_the_first_left_before() -> None:
    left, entered = asyncio.Event(), asyncio.Event()

    async def first() -> HetznerCloudClient:
        async with lent() as client:
            await entered.wait()
        left.set()
        return client

    async def second() -> HetznerCloudClient:
        async with lent() as client:
            entered.set()
            await left.wait()
            assert not is_closed(client)
        return client

    clients = await asyncio.gather(first(), second())
    assert clients[0] is clients[1]
    assert is_closed(clients[0])


async def test_a_user_who_comes_after_the_last_has_left_gets_a_new_client() -> None:
    async with lent() as earlier:
        pass
    async with lent() as later:
        assert later is not earlier
        assert not is_closed(later)


async def test_the_client_is_closed_when_its_user_fails() -> None:
    with pytest.raises(ServerError):
        async with lent() as client:
            raise ServerError("oops")
    assert is_closed(client)


async def test_the_client_is_closed_when_its_user_is_cancelled() -> None:
    entered: asyncio.Future[HetznerCloudClient] = asyncio.get_running_loop().create_future()

    async def use() -> None:
        async with lent() as client:
            entered.set_result(client)
            await asyncio.Event().wait()

    using = asyncio.create_task(use())
    client = await entered
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert is_closed(client)


@pytest.mark.parametrize(
    "other",
    [
        {"token": f"{TOKEN}2"},
        {"endpoint": "https://proxy.example/v1"},
        {"reserve": 0.5},
        {"label": "the credentials block 'prod'"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_a_client_is_not_shared_with_another(other: dict[str, Any]) -> None:
    async with lent() as one:
        async with lent(**other) as another:
            assert another is not one
        assert is_closed(another)
        assert not is_closed(one)


def test_each_event_loop_has_its_own_client() -> None:
    async def nested() -> HetznerCloudClient:
        async with lent() as client, lent() as again:
            assert again is client
        return client

    clients = [asyncio.run(nested()) for _ in range(2)]
    assert clients[0] is not clients[1]
    assert all(map(is_closed, clients))


async def test_another_thread_s_event_loop_has_its_own_client_at_the_same_time() -> None:
    async def other() -> HetznerCloudClient:
        async with lent() as client:
            return client

    async with lent() as here:
        there = await asyncio.to_thread(asyncio.run, other())
        assert there is not here
        assert is_closed(there)
        assert not is_closed(here)


@pytest.mark.parametrize(
    "arguments", [{"token": ""}, {"endpoint": "http://api.hetzner.cloud/v1"}, {"reserve": 1.0}], ids=str
)
async def test_nothing_is_lent_when_an_argument_is_no_good(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        async with lent(**arguments):
            pass
    assert TOKEN not in f"{caught.value!r} {caught.value.args}"


async def test_the_token_is_not_in_what_is_kept() -> None:
    async with lent():
        assert TOKEN not in repr(list(_LEASES.values()))


@pytest.mark.parametrize(("projects", "each"), [(1, 10), (20, 10), (40, 5), (300, 1)])
async def test_requests_in_flight_are_shared_out_among_projects_and_each_has_one(
    projects: int, each: int
) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(lent(f"{TOKEN}{number}")) for number in range(projects)]
        assert {client._transport._limiter.total_tokens for client in clients} == {each}
        await stack.enter_async_context(lent())
    async with lent() as alone:
        assert alone._transport._limiter.total_tokens == 10
