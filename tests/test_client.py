"""The client: each method's exact requests and results, and what it never sends."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient, batched_ids
from hetzner_cloud.errors import (
    ApiError,
    AuthenticationError,
    InvalidAnswerError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ReadOnlyTokenError,
)
from hetzner_cloud.settings import Settings
from tests.conftest import TOKEN

Call = Callable[[HetznerCloudClient], Awaitable[Any]]


def image(image_id: int = 4711, **more: Any) -> dict[str, Any]:
    return {"id": image_id, "type": "snapshot", "protection": {"delete": False}, **more}


def action(action_id: int = 13, image_id: int = 4711, **more: Any) -> dict[str, Any]:
    resources = [{"id": image_id, "type": "image"}]
    return {
        "id": action_id,
        "status": "running",
        "command": "change_protection",
        "resources": resources,
        **more,
    }


def error(code: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "what happened", "details": details}}


@pytest.fixture
async def client() -> AsyncIterator[HetznerCloudClient]:
    async with HetznerCloudClient(SecretStr(TOKEN), owner="the block 'prod'", settings=Settings()) as opened:
        yield opened


def requests(api: respx.MockRouter) -> list[tuple[str, str, str]]:
    """Method, path and query of what was sent, in order."""
    sent = [call.request for call in api.calls]
    return [
        (request.method, request.url.path.removeprefix("/v1"), request.url.query.decode()) for request in sent
    ]


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({}, ""),
        ({"type": "snapshot"}, "&type=snapshot"),
        ({"type": ["snapshot", "backup"]}, "&type=snapshot&type=backup"),
        ({"status": ["available", "creating"]}, "&status=available&status=creating"),
        ({"label_selector": " env=prod,!x "}, "&label_selector=env%3Dprod%2C%21x"),
    ],
    ids=str,
)
async def test_images_are_listed_with_no_filter_but_those_given(
    api: respx.MockRouter, client: HetznerCloudClient, filters: dict[str, Any], query: str
) -> None:
    api.get("/images").respond(json={"images": [image(2), image(1)]})
    assert [found.id for found in await client.list_images(**filters)] == [1, 2]
    [(method, path, sent)] = requests(api)
    assert (method, path) == ("GET", "/images")
    expected = f"sort=id%3Adesc&include_deprecated=true{query}&page=1&per_page=50"
    assert httpx.QueryParams(sent).multi_items() == httpx.QueryParams(expected).multi_items()


async def test_images_of_all_pages_are_listed(api: respx.MockRouter, client: HetznerCloudClient) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        place = {"next_page": page + 1 if page < 3 else None, "last_page": 3, "total_entries": 3}
        return httpx.Response(200, json={"images": [image(4 - page)], "meta": {"pagination": place}})

    api.get("/images").mock(side_effect=answer)
    assert [found.id for found in await client.list_images(type="snapshot")] == [1, 2, 3]
    assert len(requests(api)) == 3


async def test_an_image_is_got_by_its_id(api: respx.MockRouter, client: HetznerCloudClient) -> None:
    api.get("/images/4711").respond(json={"image": image(protection={"delete": True})})
    found = await client.get_image(4711)
    assert (found.id, found.is_protected) == (4711, True)
    assert requests(api) == [("GET", "/images/4711", "")]


@pytest.mark.parametrize(
    ("chosen", "query"),
    [
        ({}, "sort=id:asc"),
        ({"status": ["running", "error"]}, "sort=id:asc&status=running&status=error"),
        ({"sort": ["status", "id:desc"]}, "sort=status&sort=id:desc"),
        ({"sort": "finished:desc", "status": "success"}, "sort=finished:desc&status=success"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/images/4711/actions", "/images/actions"])
async def test_actions_are_listed_in_a_stable_order_unless_another_is_given(
    api: respx.MockRouter, client: HetznerCloudClient, path: str, chosen: dict[str, Any], query: str
) -> None:
    api.get(path).respond(json={"actions": [action(13), action(14)]})
    of_all = path == "/images/actions"
    found = await (
        client.list_image_actions(**chosen) if of_all else client.list_actions_for_image(4711, **chosen)
    )
    assert [each.id for each in found] == [13, 14]
    [(method, sent_to, sent)] = requests(api)
    assert (method, sent_to) == ("GET", path)
    expected = httpx.QueryParams(f"{query}&page=1&per_page=50")
    assert httpx.QueryParams(sent).multi_items() == expected.multi_items()


async def test_an_action_is_got_by_its_id(api: respx.MockRouter, client: HetznerCloudClient) -> None:
    api.get("/images/actions/13").respond(json={"action": action()})
    assert (await client.get_image_action(13)).id == 13
    assert requests(api) == [("GET", "/images/actions/13", "")]


async def test_an_action_of_an_image_is_got_by_both_ids(
    api: respx.MockRouter, client: HetznerCloudClient
) -> None:
    api.get("/images/4711/actions/13").respond(json={"action": action()})
    assert (await client.get_action_for_image(4711, 13)).id == 13
    assert requests(api) == [("GET", "/images/4711/actions/13", "")]


@pytest.mark.parametrize("resources", [[{"id": 4711, "type": "image"}], []], ids=["named", "no resources"])
async def test_another_endpoint_answers_with_a_warning_when_the_deprecated_one_is_gone(
    api: respx.MockRouter,
    client: HetznerCloudClient,
    caplog: pytest.LogCaptureFixture,
    resources: list[Any],
) -> None:
    gone = error("deprecated_api_endpoint", announcement="https://docs.hetzner.cloud/changelog#gone")
    api.get("/images/4711/actions/13").respond(410, json=gone)
    api.get("/images/actions/13").respond(json={"action": action(resources=resources)})
    assert (await client.get_action_for_image(4711, 13)).id == 13
    assert [path for _, path, _ in requests(api)] == ["/images/4711/actions/13", "/images/actions/13"]
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "https://docs.hetzner.cloud/changelog#gone" in warning.getMessage()


async def test_an_action_of_another_image_is_not_found_when_the_deprecated_endpoint_is_gone(
    api: respx.MockRouter, client: HetznerCloudClient
) -> None:
    api.get("/images/4711/actions/13").respond(410)
    api.get("/images/actions/13").respond(json={"action": action(image_id=4712)})
    with pytest.raises(NotFoundError, match="Action 13 is not of image 4711"):
        await client.get_action_for_image(4711, 13)


@pytest.mark.parametrize("delete", [True, False])
async def test_a_change_of_protection_is_sent_as_its_flag_alone(
    api: respx.MockRouter, client: HetznerCloudClient, delete: object
) -> None:
    api.post("/images/4711/actions/change_protection").respond(201, json={"action": action()})
    started = await client.change_image_protection(4711, delete=bool(delete))
    assert (started.id, started.ended) == (13, False)
    assert requests(api) == [("POST", "/images/4711/actions/change_protection", "")]
    assert json.loads(api.calls.last.request.content) == {"delete": delete}


@pytest.mark.parametrize(
    ("count", "batches"),
    [(0, []), (1, [1]), (25, [25]), (26, [25, 1]), (50, [25, 25]), (51, [25, 25, 1])],
)
@pytest.mark.parametrize("path", ["/actions", "/images/actions"])
async def test_each_id_is_asked_once_in_batches_of_25(
    api: respx.MockRouter, client: HetznerCloudClient, path: str, count: int, batches: list[int]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params.get_list("id")
        return httpx.Response(200, json={"actions": [action(int(action_id)) for action_id in asked]})

    if count:
        api.get(path).mock(side_effect=answer)
    ids = list(range(count, 0, -1))
    asking = client.list_actions(ids) if path == "/actions" else client.list_image_actions(ids=ids)
    assert [found.id for found in await asking] == ids
    queries = [httpx.QueryParams(query).get_list("id") for _, _, query in requests(api)]
    assert sorted(len(asked) for asked in queries) == sorted(batches)
    assert [
        int(action_id) for asked in sorted(queries, key=lambda asked: -int(asked[0])) for action_id in asked
    ] == ids


async def test_actions_by_id_are_asked_with_nothing_but_their_ids(
    api: respx.MockRouter, client: HetznerCloudClient
) -> None:
    api.get("/actions").respond(json={"actions": [action(1)]})
    assert [found.id for found in await client.list_actions([1, 2])] == [1]
    assert requests(api) == [("GET", "/actions", "id=1&id=2")]


def test_an_id_is_asked_once_when_it_was_given_twice() -> None:
    assert batched_ids([3, 1, 3, 2, 1]) == [[3, 1, 2]]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list_images(type="disk"),
        lambda client: client.list_images(status="gone"),
        lambda client: client.list_images(label_selector="a b"),
        lambda client: client.get_image(0),
        lambda client: client.get_image("1/actions"),
        lambda client: client.list_actions_for_image(-1),
        lambda client: client.list_actions_for_image(1, sort="name"),
        lambda client: client.list_actions_for_image(1, status="paused"),
        lambda client: client.get_action_for_image(1, 2**53),
        lambda client: client.get_action_for_image(True, 1),
        lambda client: client.change_image_protection(1.0, delete=True),
        lambda client: client.change_image_protection(1, delete=1),
        lambda client: client.list_image_actions(ids=[1, 0]),
        lambda client: client.list_image_actions(sort="progress"),
        lambda client: client.get_image_action(None),
        lambda client: client.list_actions([*range(1, 60), "60"]),
    ],
)
async def test_nothing_is_sent_when_an_argument_is_invalid(
    api: respx.MockRouter, client: HetznerCloudClient, call: Call
) -> None:
    with pytest.raises(InvalidArgumentError):
        await call(client)
    assert requests(api) == []


@pytest.mark.parametrize(
    ("status_code", "code", "kind"),
    [
        (401, "unauthorized", AuthenticationError),
        (401, "token_readonly", ReadOnlyTokenError),
        (403, "token_readonly", ReadOnlyTokenError),
    ],
)
async def test_no_further_change_is_sent_when_one_was_refused_for_the_token_s_sake(
    api: respx.MockRouter, client: HetznerCloudClient, status_code: int, code: str, kind: type[ApiError]
) -> None:
    route = api.post("/images/1/actions/change_protection").respond(status_code, json=error(code))
    refusals = []
    for image_id in (1, 2, 3):
        with pytest.raises(kind, match="the block 'prod'") as caught:
            await client.change_image_protection(image_id, delete=True)
        refusals.append(caught.value)
    assert route.call_count == len(api.calls) == 1
    assert len({str(refusal) for refusal in refusals}) == 1


async def test_changes_that_wait_for_their_turn_are_not_sent_when_one_was_refused(
    api: respx.MockRouter,
) -> None:
    api.post(path__regex=r".*/change_protection").respond(401, json=error("token_readonly"))
    async with HetznerCloudClient(SecretStr(TOKEN), settings=Settings(requests_in_flight=2)) as client:
        changes = [client.change_image_protection(number, delete=True) for number in range(1, 21)]
        refusals = await asyncio.gather(*changes, return_exceptions=True)
    assert {type(refusal) for refusal in refusals} == {ReadOnlyTokenError}
    assert len(api.calls) <= 2


async def test_reading_goes_on_when_a_change_was_refused(
    api: respx.MockRouter, client: HetznerCloudClient
) -> None:
    api.post("/images/1/actions/change_protection").respond(401, json=error("token_readonly"))
    api.get("/images/1").respond(json={"image": image(1)})
    with pytest.raises(ReadOnlyTokenError):
        await client.change_image_protection(1, delete=True)
    assert (await client.get_image(1)).id == 1


@pytest.mark.parametrize(("status_code", "kind"), [(403, PermissionDeniedError), (404, NotFoundError)])
async def test_further_changes_are_sent_when_one_was_refused_for_the_image_s_sake(
    api: respx.MockRouter, client: HetznerCloudClient, status_code: int, kind: type[ApiError]
) -> None:
    api.post("/images/1/actions/change_protection").respond(status_code)
    api.post("/images/2/actions/change_protection").respond(201, json={"action": action()})
    with pytest.raises(kind):
        await client.change_image_protection(1, delete=True)
    assert (await client.change_image_protection(2, delete=True)).id == 13


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"action": null}', b'{"action": {"id": 1}}']
)
async def test_an_answer_that_is_not_as_documented_is_an_invalid_answer_when_it_is(
    api: respx.MockRouter, client: HetznerCloudClient, body: bytes
) -> None:
    api.post("/images/1/actions/change_protection").respond(201, content=body)
    with pytest.raises(InvalidAnswerError, match="was answered with 201"):
        await client.change_image_protection(1, delete=True)


async def test_the_token_is_in_no_representation_of_the_client(client: HetznerCloudClient) -> None:
    assert TOKEN not in repr(client) + repr(vars(client))
