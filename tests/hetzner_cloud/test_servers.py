"""Servers: all that matters is which image each was created from, and that none goes unnoticed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import respx
from hypothesis import given, settings
from pydantic import SecretStr, ValidationError

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import AuthenticationError, InvalidResponseError, ServerError, TransportError
from hetzner_cloud.pages import ServersPage
from hetzner_cloud.responses import ApiResponse, parse_model
from hetzner_cloud.servers import Server
from hetzner_cloud.settings import Settings
from hetzner_cloud.unreadable_entries import UnreadableServersError
from sandbox import Fault, Sandbox, serve
from tests.support.api_json import ENDPOINT, MAX_ID, TOKEN, body_of, image_json, meta_json, server_json
from tests.support.openapi import DESCRIPTION, bodies, read_description

FIRST_SERVER = 40_000_001
ABSENT: Any = object()


@asynccontextmanager
async def connected(sandbox: Sandbox) -> AsyncIterator[HetznerCloudClient]:
    with serve(sandbox):
        config = ClientConfig(SecretStr(sandbox.token), sandbox.endpoint)
        async with HetznerCloudClient(config, Settings(retry_base_delay_seconds=0.001)) as client:
            yield client


def test_a_server_has_the_id_of_its_image() -> None:
    server = Server.model_validate(server_json(42, name="db-1", image=image_json(MAX_ID)))
    assert (server.id, server.name, server.image_id) == (42, "db-1", MAX_ID)
    assert Server.model_validate(server_json(image=None)).image_id is None


def test_all_else_may_be_missing_or_new() -> None:
    server = Server.model_validate({"id": 1, "image": {"id": 2, "brand_new": []}, "brand_new": {}})
    assert (server.name, server.image_id) == ("", 2)
    assert Server.model_validate(server_json(name=7)).name == ""


@pytest.mark.parametrize(
    "image",
    [ABSENT, {}, [], "4711", 4711, True, {"id": None}, {"id": "4711"}, {"id": 0}, {"id": 1.0}],
    ids=lambda image: "absent" if image is ABSENT else repr(image),
)
def test_a_server_cannot_be_read_when_its_image_is(image: Any) -> None:
    entry = server_json(image=image)
    if image is ABSENT:
        del entry["image"]
    with pytest.raises(ValidationError, match="image"):
        Server.model_validate(entry)
    page = ServersPage.model_validate({"servers": [server_json(7), entry]})
    assert [server.id for server in page.servers] == [7]
    assert [(one.id, one.reason.partition(".")[0].partition(":")[0]) for one in page.unreadable] == [
        (42, "image")
    ]


@pytest.mark.skipif(not DESCRIPTION.exists(), reason="the OpenAPI description is not there")
def test_every_documented_list_of_servers_is_read() -> None:
    description = read_description()
    components = description["components"]["schemas"]
    schema = description["paths"]["/servers"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]

    @settings(max_examples=25)
    @given(bodies(schema, components))
    def read(body: Any) -> None:
        for server in body["servers"]:  # a string can be any JSON, an id is above 0 and below 2^53
            server["id"] = abs(server["id"]) % MAX_ID + 1
            if server["image"]:
                server["image"]["id"] = abs(server["image"]["id"]) % MAX_ID + 1
        page = ServersPage.model_validate({"servers": body["servers"]})
        assert not page.unreadable
        expected = [server["image"] and server["image"]["id"] for server in body["servers"]]
        assert [server.image_id for server in page.servers] == expected

    read()


def test_one_that_could_not_be_read_counts_when_a_page_has_an_id_twice() -> None:
    page = ServersPage.model_validate(
        {"servers": [server_json(1, image="?"), server_json(1), server_json(2)]}
    )
    assert {key: type(one).__name__ for key, one in page.by_id.items()} == {
        1: "UnreadableEntry",
        2: "Server",
    }


@pytest.mark.parametrize(
    "servers",
    [None, {}, "none", 5, {"0": server_json()}, ABSENT],
    ids=["null", "map", "string", "number", "map of servers", "absent"],
)
def test_a_page_is_invalid_when_its_entries_are(servers: Any) -> None:
    body = {} if servers is ABSENT else {"servers": servers}
    with pytest.raises(InvalidResponseError, match="servers"):
        parse_model(ServersPage, ApiResponse("GET /servers", 200, body_of(json.dumps(body).encode())))


# The client


async def test_all_servers_are_listed_by_ascending_id_when_there_are_hundreds_of_pages() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        servers = [server_json(1_000 - 2 * number), server_json(999 - 2 * number)]
        return httpx.Response(
            200, json={"servers": servers, "meta": meta_json(number, 400, total_entries=800)}
        )

    with respx.mock(base_url=ENDPOINT) as hetzner:
        hetzner.get("/servers").mock(side_effect=page)
        async with HetznerCloudClient(ClientConfig(SecretStr(TOKEN)), Settings()) as client:
            servers = await client.list_servers()
        assert len(hetzner.calls) == 400
    assert [server.id for server in servers] == list(range(199, 999))


async def test_each_server_is_listed_with_its_image_or_none() -> None:
    sandbox = Sandbox(snapshots=2, system_images=1, servers=4)
    first = min(sandbox.images)
    async with connected(sandbox) as client:
        found = [(server.name, server.image_id) for server in await client.list_servers()]
        sandbox.delete_image(first)
        later = [server.image_id for server in await client.list_servers()]
    assert found == [("db-1", first), ("web-1", first + 2), ("web-2", None), ("mail-1", first + 1)]
    assert later == [None, first + 2, None, first + 1]


@pytest.mark.parametrize("place", [0, 49, 50, 119])
async def test_a_server_that_cannot_be_read_is_named_and_none_is_silently_left_out(place: int) -> None:
    sandbox = Sandbox(snapshots=1, servers=120)
    bad = FIRST_SERVER + place
    sandbox.servers[bad]["image"] = {"id": "4711"}
    async with connected(sandbox) as client:
        with pytest.raises(UnreadableServersError, match=rf"1 of 120 servers .* {bad}: image\.id") as caught:
            await client.list_servers()
    assert len(caught.value.servers) == 119


class _Shrinking(dict[int, Any]):
    """The servers of a sandbox, of which the newest is deleted before the second page is read."""

    reads = 0

    def values(self) -> Any:
        self.reads += 1
        if self.reads == 2:
            del self[max(self)]
        return super().values()


async def test_servers_are_listed_again_when_one_is_deleted_between_two_pages() -> None:
    sandbox = Sandbox(snapshots=1, servers=120)
    sandbox.state.servers = _Shrinking(sandbox.state.servers)
    async with connected(sandbox) as client:
        servers = await client.list_servers()
    assert [server.id for server in servers] == list(range(FIRST_SERVER, FIRST_SERVER + 119))
    assert len(sandbox.calls("list_servers")) == 6


@pytest.mark.parametrize("kind", ["html", "empty", "truncated", "wrong_shape", "cut", "drop", "drop_after"])
async def test_a_page_of_servers_is_read_again_by_itself_when_its_response_is_broken(kind: Any) -> None:
    sandbox = Sandbox(snapshots=1, servers=150)
    sandbox.faults.add(Fault(kind=kind, operation="list_servers", after=1, times=1))
    async with connected(sandbox) as client:
        assert len(await client.list_servers()) == 150
    assert len(sandbox.calls("list_servers")) == 4


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="error", status=500), ServerError),
        (Fault(kind="error", status=401), AuthenticationError),
        (Fault(kind="wrong_shape", body='{"servers": null}'), InvalidResponseError),
        (Fault(kind="wrong_shape", body='{"servers": [], "meta": 1}'), InvalidResponseError),
        (Fault(kind="drop"), TransportError),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_an_error_of_the_list_is_raised_after_one_request(fault: Fault, error: type[Exception]) -> None:
    sandbox = Sandbox(snapshots=1, servers=1)
    sandbox.faults.add(fault)
    async with connected(sandbox) as client:
        with pytest.raises(error):
            await client.list_servers()
    assert len(sandbox.requests) == 1
