"""One client per project and event loop, closed by the last who leaves."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.shared import shared_client
from tests.conftest import TOKEN

ENDPOINT = "https://api.hetzner.cloud/v1"


def lent(
    token: str = TOKEN, endpoint: str = ENDPOINT, reserve: float = 0.1, owner: str = "the block 'prod'"
) -> AbstractAsyncContextManager[HetznerCloudClient]:
    return shared_client(SecretStr(token), endpoint, rate_limit_reserve=reserve, owner=owner)


def is_closed(client: HetznerCloudClient) -> bool:
    return client._connection._http.is_closed


async def test_the_same_client_is_lent_when_one_is_in_use() -> None:
    async with lent() as outer, lent() as inner:
        assert inner is outer


async def test_the_client_is_closed_when_the_last_has_left() -> None:
    async with lent() as outer:
        async with lent():
            pass
        assert not is_closed(outer)
    assert is_closed(outer)


async def test_the_client_works_for_the_others_when_one_has_left(api: respx.MockRouter) -> None:
    action = {"id": 1, "status": "success"}
    api.get("/images/actions/1").respond(json={"action": action})
    async with lent() as client:
        async with lent():
            pass
        assert (await client.get_image_action(1)).succeeded


async def test_the_client_is_closed_when_its_users_fail() -> None:
    async def fail() -> None:
        async with lent() as client:
            clients.append(client)
            raise ValueError

    clients: list[HetznerCloudClient] = []
    await asyncio.gather(fail(), fail(), return_exceptions=True)
    assert all(is_closed(client) for client in clients)


async def test_a_new_client_is_lent_when_the_last_was_closed() -> None:
    async with lent() as first:
        pass
    async with lent() as second:
        assert second is not first
        assert not is_closed(second)


async def test_concurrent_users_share_one_client() -> None:
    async def use() -> HetznerCloudClient:
        async with lent() as client:
            await asyncio.sleep(0)
            return client

    clients = await asyncio.gather(*(use() for _ in range(20)))
    assert len({id(client) for client in clients}) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"token": "another-token"},
        {"endpoint": "https://proxy.example/v1"},
        {"reserve": 0.5},
        {"owner": "the block 'test'"},
    ],
    ids=str,
)
async def test_another_client_is_lent_when_the_project_has(other: dict[str, str]) -> None:
    async with lent() as one, lent(**other) as another:  # type: ignore[arg-type] # one of them is a float
        assert another is not one
    assert is_closed(one)
    assert is_closed(another)


async def test_another_event_loop_gets_a_client_of_its_own() -> None:
    async def borrow() -> HetznerCloudClient:
        async with lent() as client:
            return client

    async with lent() as here:
        there = await asyncio.to_thread(asyncio.run, borrow())
        assert there is not here
        assert is_closed(there)
        assert not is_closed(here)


async def test_nothing_is_lent_when_the_token_is_unusable() -> None:
    with pytest.raises(InvalidArgumentError, match="token"):
        async with lent(token=""):
            pass
