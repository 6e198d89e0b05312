"""The client: exactly what is sent to each endpoint, what is returned, and what is rejected before."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import (
    AuthenticationError,
    ConflictError,
    DeprecatedEndpointError,
    InvalidArgumentError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    ReadOnlyTokenError,
    ResourceUnavailableError,
    ServerError,
)
from hetzner_cloud.requests import batched_ids
from hetzner_cloud.settings import Settings
from hetzner_cloud.unreadable_entries import UnreadableActionsError, UnreadableImagesError
from tests.support.api_json import (
    ENDPOINT,
    MAX_ID,
    TOKEN,
    action_json,
    error_json,
    image_json,
    meta_json,
    server_json,
)

Call = Callable[[HetznerCloudClient], Awaitable[Any]]
Query = list[tuple[str, str]]

IMAGES = [("sort", "id:desc"), ("include_deprecated", "true")]
BY_ID = [("sort", "id:asc")]
PAGE_1 = [("page", "1"), ("per_page", "50")]
CHANGE = "/images/4711/actions/change_protection"
ANNOUNCEMENT = "https://docs.hetzner.cloud/changelog#2026-04-30"


@pytest.fixture
def hetzner() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ENDPOINT) as router:
        yield router


@pytest.fixture
async def client() -> AsyncIterator[HetznerCloudClient]:
    config = ClientConfig(SecretStr(TOKEN), credentials_label="the credentials block 'prod'")
    async with HetznerCloudClient(config, Settings()) as client:
        yield client


def asked(router: respx.MockRouter) -> list[str]:
    return [f"{call.request.method} {call.request.url.path.removeprefix('/v1')}" for call in router.calls]


def queries(router: respx.MockRouter) -> list[Query]:
    return [call.request.url.params.multi_items() for call in router.calls]


def gone(**details: str) -> httpx.Response:
    return httpx.Response(410, json=error_json("deprecated_api_endpoint", "gone", details))


# What is sent


@pytest.mark.parametrize(
    ("call", "path", "query"),
    [
        (lambda client: client.list_images(), "/images", [*IMAGES, *PAGE_1]),
        (
            lambda client: client.list_images(type="snapshot"),
            "/images",
            [*IMAGES, ("type", "snapshot"), *PAGE_1],
        ),
        (
            lambda client: client.list_images(
                type=["snapshot", "backup"],
                status=("available", "creating"),
                label_selector=" env=prod,!tmp ",
            ),
            "/images",
            [
                *IMAGES,
                ("type", "snapshot"),
                ("type", "backup"),
                ("status", "available"),
                ("status", "creating"),
                ("label_selector", "env=prod,!tmp"),
                *PAGE_1,
            ],
        ),
        (lambda client: client.list_actions_for_image(4711), "/images/4711/actions", [*BY_ID, *PAGE_1]),
        (
            lambda client: client.list_actions_for_image(
                MAX_ID, sort=["status", "id:desc"], status=["running", "error"]
            ),
            f"/images/{MAX_ID}/actions",
            [
                ("sort", "status"),
                ("sort", "id:desc"),
                ("status", "running"),
                ("status", "error"),
                *PAGE_1,
            ],
        ),
        (lambda client: client.list_image_actions(), "/images/actions", [*BY_ID, *PAGE_1]),
        (
            lambda client: client.list_image_actions(sort="started:desc", status="success"),
            "/images/actions",
            [("sort", "started:desc"), ("status", "success"), *PAGE_1],
        ),
        (
            lambda client: client.list_image_actions(sort="id:desc", limit=1),
            "/images/actions",
            [("sort", "id:desc"), *PAGE_1],
        ),
        (
            lambda client: client.list_image_actions(ids=[7, 5, 7], status="running"),
            "/images/actions",
            [("id", "7"), ("id", "5"), *BY_ID, ("status", "running"), *PAGE_1],
        ),
        (lambda client: client.list_actions([7, 5, 7]), "/actions", [("id", "7"), ("id", "5")]),
        (lambda client: client.list_servers(), "/servers", [("sort", "id:desc"), *PAGE_1]),
    ],
)
async def test_a_list_is_requested_exactly(
    hetzner: respx.MockRouter, client: HetznerCloudClient, call: Call, path: str, query: Query
) -> None:
    lists = {"/images": ("images", image_json()), "/servers": ("servers", server_json())}
    name, item = lists.get(path, ("actions", action_json()))
    hetzner.get(path).respond(json={name: [item]})
    [found] = await call(client)
    assert found.id == item["id"]
    assert asked(hetzner) == [f"GET {path}"]
    assert queries(hetzner) == [query]


@pytest.mark.parametrize(
    ("call", "path", "answer", "expected"),
    [
        (lambda client: client.get_image(4711), "/images/4711", {"image": image_json()}, 4711),
        (lambda client: client.get_image(MAX_ID), f"/images/{MAX_ID}", {"image": image_json(MAX_ID)}, MAX_ID),
        (lambda client: client.get_image_action(13), "/images/actions/13", {"action": action_json()}, 13),
        (
            lambda client: client.get_action_for_image(4711, 13),
            "/images/4711/actions/13",
            {"action": action_json()},
            13,
        ),
    ],
)
async def test_one_thing_is_requested_exactly(
    hetzner: respx.MockRouter, client: HetznerCloudClient, call: Call, path: str, answer: Any, expected: int
) -> None:
    hetzner.get(path).respond(json=answer)
    assert (await call(client)).id == expected
    assert asked(hetzner) == [f"GET {path}"]
    assert queries(hetzner) == [[]]


@pytest.mark.parametrize("delete", [True, False])
async def test_a_protection_is_changed_with_exactly_one_field(
    hetzner: respx.MockRouter, client: HetznerCloudClient, *, delete: bool
) -> None:
    route = hetzner.post(CHANGE).respond(201, json={"action": action_json()})
    action = await client.change_image_protection(4711, delete=delete)
    assert (action.id, action.image_id, action.is_finished) == (13, 4711, False)
    request = route.calls.last.request
    assert json.loads(request.content) == {"delete": delete}
    assert not request.url.query


async def test_a_list_is_returned_whole_when_it_has_pages(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        return httpx.Response(
            200, json={"images": [image_json(100 - number)], "meta": meta_json(number, 4, total_entries=4)}
        )

    hetzner.get("/images").mock(side_effect=page)
    assert [image.id for image in await client.list_images(type="snapshot")] == [96, 97, 98, 99]
    pages = [dict(query)["page"] for query in queries(hetzner)]
    assert (pages[0], sorted(pages)) == ("1", ["1", "2", "3", "4"])
    assert {dict(query)["type"] for query in queries(hetzner)} == {"snapshot"}


async def test_actions_keep_the_api_s_order_when_they_are_returned_in_pages(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        return httpx.Response(200, json={"actions": [action_json(9 - number)], "meta": meta_json(number, 3)})

    hetzner.get("/images/actions").mock(side_effect=page)
    assert [action.id for action in await client.list_image_actions(sort="id:desc")] == [8, 7, 6]


@pytest.mark.parametrize(("limit", "pages"), [(1, 1), (50, 1), (51, 2), (100, 2), (101, 3), (9_999, 3)])
async def test_no_page_beyond_the_limit_is_read(
    hetzner: respx.MockRouter, client: HetznerCloudClient, limit: int, pages: int
) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        first = 1_000 - 50 * int(request.url.params["page"])
        actions = [action_json(first + number) for number in range(50, 0, -1)]
        meta = meta_json(int(request.url.params["page"]), 3, total_entries=150)
        return httpx.Response(200, json={"actions": actions, "meta": meta})

    hetzner.get("/images/actions").mock(side_effect=page)
    actions = await client.list_image_actions(sort="id:desc", limit=limit)
    assert [action.id for action in actions] == list(range(1_000, 1_000 - min(limit, 150), -1))
    assert len(hetzner.calls) == pages


# Ids in batches


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (25, [25]), (26, [25, 1]), (50, [25, 25]), (51, [25, 25, 1]), (500, [25] * 20)],
)
@pytest.mark.parametrize("path", ["/actions", "/images/actions"])
async def test_each_id_is_requested_once_and_25_a_request_when_there_are(
    client: HetznerCloudClient, path: str, count: int, sizes: list[int]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        ids = request.url.params.get_list("id")
        return httpx.Response(200, json={"actions": [action_json(int(number)) for number in ids]})

    ids = list(range(count, 0, -1))
    with respx.mock(base_url=ENDPOINT, assert_all_called=False) as hetzner:
        hetzner.get(path).mock(side_effect=answer)
        call = client.list_actions(ids) if path == "/actions" else client.list_image_actions(ids=ids)
        assert [action.id for action in await call] == ids
        sent = [call.request.url.params.get_list("id") for call in hetzner.calls]
    assert sorted(map(len, sent), reverse=True) == sizes
    assert sorted(int(number) for batch in sent for number in batch) == sorted(ids)


async def test_an_id_that_is_not_returned_is_no_error(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.get("/actions").respond(json={"actions": [action_json(2)]})
    assert [action.id for action in await client.list_actions([1, 2])] == [2]


async def test_an_error_of_one_batch_is_raised_as_it_is(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if "1" in request.url.params.get_list("id") else 503, json={"actions": []})

    hetzner.get("/actions").mock(side_effect=answer)
    with pytest.raises(ServerError):
        await client.list_actions(range(1, 60))


async def test_all_others_come_with_the_error_when_some_actions_cannot_be_read(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        actions = [action_json(int(number)) for number in request.url.params.get_list("id")]
        actions[0] |= {"id": 0} if actions[0]["id"] == 26 else {"status": None}
        return httpx.Response(200, json={"actions": actions, "meta": None})

    hetzner.get("/actions").mock(side_effect=answer)
    hetzner.get("/images/actions").mock(side_effect=answer)
    for call in (client.list_actions(range(1, 51)), client.list_image_actions(ids=range(1, 51))):
        with pytest.raises(UnreadableActionsError) as caught:
            await call
        assert [action.id for action in caught.value.actions] == [*range(2, 26), *range(27, 51)]
        assert [entry.id for entry in caught.value.unreadable] == [1, None]
    assert len(hetzner.calls) == 4


async def test_an_entry_without_an_id_is_named_with_the_page_that_was_requested(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        entry = image_json(9 - page, protection=None) if page == 2 else image_json(-page if page == 3 else 9)
        return httpx.Response(200, json={"images": [entry], "meta": meta_json(page, 3, total_entries=3)})

    hetzner.get("/images").mock(side_effect=answer)
    with pytest.raises(UnreadableImagesError) as caught:
        await client.list_images()
    assert [image.id for image in caught.value.images] == [9]
    assert [(entry.id, entry.page) for entry in caught.value.unreadable] == [(7, 2), (None, 3)]


def test_ids_are_batched_in_their_order_each_once() -> None:
    assert batched_ids(iter([3, 1, 3, 2, 1])) == [[3, 1, 2]]


# What is refused


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list_images(type="disk"),
        lambda client: client.list_images(type=["snapshot", "disk"]),
        lambda client: client.list_images(status="gone"),
        lambda client: client.list_images(label_selector="env=prod="),
        lambda client: client.list_images(label_selector="a in ("),
        lambda client: client.get_image(0),
        lambda client: client.get_image(MAX_ID + 1),
        lambda client: client.get_image("4711"),
        lambda client: client.get_image(True),
        lambda client: client.get_image("1/../../servers"),
        lambda client: client.list_actions_for_image(-1),
        lambda client: client.list_actions_for_image(1, sort="name"),
        lambda client: client.list_actions_for_image(1, sort=["id", "id:up"]),
        lambda client: client.list_actions_for_image(1, status="available"),
        lambda client: client.get_action_for_image(0, 13),
        lambda client: client.get_action_for_image(4711, 0),
        lambda client: client.get_image_action(1.0),
        lambda client: client.list_image_actions(sort=""),
        lambda client: client.list_image_actions(status=["success", "ok"]),
        lambda client: client.list_image_actions(ids=[*range(1, 100), 0]),
        lambda client: client.list_image_actions(ids=["1"]),
        lambda client: client.list_image_actions(limit=0),
        lambda client: client.list_image_actions(limit="50"),
        lambda client: client.list_image_actions(limit=True),
        lambda client: client.list_actions([1, None]),
        lambda client: client.list_actions([MAX_ID + 1]),
        lambda client: client.delete_image(0),
        lambda client: client.delete_image(True),
        lambda client: client.delete_image("4711/actions/change_protection"),
        lambda client: client.delete_image(4711, max_wait_seconds=0),
        lambda client: client.change_image_protection(0, delete=True),
        lambda client: client.change_image_protection(4711, delete=None),
        lambda client: client.change_image_protection(4711, delete=1),
        lambda client: client.change_image_protection(4711, delete="false"),
    ],
)
async def test_nothing_is_sent_when_an_argument_is_no_good(
    hetzner: respx.MockRouter, client: HetznerCloudClient, call: Call
) -> None:
    with pytest.raises(InvalidArgumentError):
        await call(client)
    assert not hetzner.calls


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"token": SecretStr("")}, "token"),
        ({"token": SecretStr(f"{TOKEN}\n")}, "token"),
        ({"endpoint": "http://api.hetzner.cloud/v1"}, "unencrypted"),
        ({"rate_limit_reserve": 1.0}, "reserve"),
    ],
)
def test_a_client_is_rejected_without_showing_the_token_when_an_argument_is_no_good(
    arguments: dict[str, Any], word: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=word) as caught:
        HetznerCloudClient(ClientConfig(**{"token": SecretStr(TOKEN)} | arguments))
    assert TOKEN not in f"{caught.value!r} {caught.value.args}"


async def test_the_token_is_not_in_what_a_client_shows(client: HetznerCloudClient) -> None:
    assert TOKEN not in f"{client!r} {vars(client)!r}"


def test_a_client_reads_its_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETZNER_CLOUD_MAX_CONCURRENT_REQUESTS", "none")
    with pytest.raises(InvalidArgumentError, match="HETZNER_CLOUD_MAX_CONCURRENT_REQUESTS"):
        HetznerCloudClient(ClientConfig(SecretStr(TOKEN)))


# What is answered


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda client: client.list_images(), "/images"),
        (lambda client: client.get_image(4711), "/images/4711"),
        (lambda client: client.list_actions_for_image(4711), "/images/4711/actions"),
        (lambda client: client.get_action_for_image(4711, 13), "/images/4711/actions/13"),
        (lambda client: client.list_image_actions(), "/images/actions"),
        (lambda client: client.list_image_actions(ids=[13]), "/images/actions"),
        (lambda client: client.get_image_action(13), "/images/actions/13"),
        (lambda client: client.list_actions([13]), "/actions"),
        (lambda client: client.change_image_protection(4711, delete=True), CHANGE),
        (lambda client: client.list_servers(), "/servers"),
        (lambda client: client.list_prices(), "/pricing"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html></html>", b"{}", b"[]", b'{"images": {}, "actions": {}}'])
async def test_a_success_that_is_not_as_documented_is_an_error_of_ours(
    hetzner: respx.MockRouter, client: HetznerCloudClient, call: Call, path: str, body: bytes
) -> None:
    hetzner.request("POST" if path == CHANGE else "GET", path).respond(200, content=body)
    with pytest.raises(InvalidResponseError):
        await call(client)
    assert len(hetzner.calls) == 1


async def test_another_image_than_the_one_that_was_asked_for_is_none(
    client: HetznerCloudClient, hetzner: respx.MockRouter
) -> None:
    hetzner.get("/images/4711").respond(json={"image": image_json(4712)})
    with pytest.raises(InvalidResponseError, match="GET /images/4711 returned image 4712"):
        await client.get_image(4711)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(404, "not_found", NotFoundError), (409, "conflict", ConflictError), (503, "unavailable", ServerError)],
)
async def test_an_error_is_raised_after_one_request(
    hetzner: respx.MockRouter, client: HetznerCloudClient, status: int, code: str, kind: type[Exception]
) -> None:
    hetzner.post(CHANGE).respond(status, json=error_json(code))
    with pytest.raises(kind):
        await client.change_image_protection(4711, delete=True)
    assert asked(hetzner) == [f"POST {CHANGE}"]


# The endpoint that Hetzner takes away


async def test_the_other_endpoint_is_used_when_the_deprecated_one_was_removed(
    hetzner: respx.MockRouter, client: HetznerCloudClient, caplog: pytest.LogCaptureFixture
) -> None:
    hetzner.get("/images/4711/actions/13").mock(return_value=gone(announcement=ANNOUNCEMENT))
    hetzner.get("/images/actions/13").respond(json={"action": action_json()})
    assert (await client.get_action_for_image(4711, 13)).id == 13
    assert asked(hetzner) == ["GET /images/4711/actions/13", "GET /images/actions/13"]
    [warning] = [record for record in caplog.records if record.name == "hetzner_cloud.client"]
    assert warning.levelno == logging.WARNING
    assert ANNOUNCEMENT in warning.getMessage()
    assert "GET /images/actions/13" in warning.getMessage()


async def test_the_fallback_forges_no_line_in_the_log(
    hetzner: respx.MockRouter, client: HetznerCloudClient, caplog: pytest.LogCaptureFixture
) -> None:
    hetzner.get("/images/4711/actions/13").mock(return_value=gone(announcement="\x1b[2Ja\nb %s"))
    hetzner.get("/images/actions/13").respond(json={"action": action_json()})
    await client.get_action_for_image(4711, 13)
    assert caplog.records[-1].getMessage().isprintable()


async def test_an_action_of_another_image_is_not_found_by_the_fallback(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.get("/images/4711/actions/13").mock(return_value=gone())
    hetzner.get("/images/actions/13").respond(json={"action": action_json(image_id=4712)})
    with pytest.raises(NotFoundError, match="Action 13 does not belong to image 4711") as caught:
        await client.get_action_for_image(4711, 13)
    assert (caught.value.code, caught.value.status_code) == ("not_found", 404)


async def test_an_action_that_does_not_name_its_image_is_found_by_the_fallback(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.get("/images/4711/actions/13").mock(return_value=gone())
    hetzner.get("/images/actions/13").respond(json={"action": action_json(resources=[])})
    assert (await client.get_action_for_image(4711, 13)).id == 13


async def test_the_fallback_s_error_is_raised_when_it_has_one(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.get("/images/4711/actions/13").mock(return_value=gone())
    hetzner.get("/images/actions/13").mock(return_value=gone())
    with pytest.raises(DeprecatedEndpointError):
        await client.get_action_for_image(4711, 13)
    assert len(hetzner.calls) == 2


async def test_there_is_no_fallback_for_an_action_that_is_not_found(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.get("/images/4711/actions/13").respond(404, json=error_json("not_found"))
    with pytest.raises(NotFoundError):
        await client.get_action_for_image(4711, 13)
    assert len(hetzner.calls) == 1


# A token that may not change anything


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthorized", AuthenticationError),
        (401, "token_readonly", ReadOnlyTokenError),
        (403, "token_readonly", ReadOnlyTokenError),
    ],
)
async def test_no_further_change_is_sent_when_the_token_was_rejected(
    hetzner: respx.MockRouter, client: HetznerCloudClient, status: int, code: str, kind: type[Exception]
) -> None:
    hetzner.post(CHANGE).respond(status, json=error_json(code))
    rejections = []
    for image_id in (4711, 4712, 4713):
        with pytest.raises(kind, match="the credentials block 'prod'") as caught:
            await client.change_image_protection(image_id, delete=True)
        rejections.append(str(caught.value))
    assert asked(hetzner) == [f"POST {CHANGE}"]
    assert len(set(rejections)) == 1


async def test_changes_that_wait_for_their_turn_are_not_sent_when_the_token_was_rejected(
    hetzner: respx.MockRouter,
) -> None:
    hetzner.post(url__regex=r"/change_protection$").respond(401, json=error_json("token_readonly"))
    settings = Settings(max_concurrent_requests=1)
    async with HetznerCloudClient(ClientConfig(SecretStr(TOKEN)), settings) as client:
        changes = (client.change_image_protection(number, delete=True) for number in range(1, 100))
        rejections = await asyncio.gather(*changes, return_exceptions=True)
    assert {type(rejection) for rejection in rejections} == {ReadOnlyTokenError}
    assert len(hetzner.calls) == 1


async def test_a_token_that_may_only_read_goes_on_reading(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.post(CHANGE).respond(401, json=error_json("token_readonly"))
    hetzner.get("/images").respond(json={"images": [image_json()]})
    with pytest.raises(ReadOnlyTokenError):
        await client.change_image_protection(4711, delete=True)
    assert len(await client.list_images()) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(403, "forbidden", PermissionDeniedError), (403, "maintenance", ResourceUnavailableError)],
)
async def test_a_change_is_sent_after_one_that_was_rejected_for_another_reason(
    hetzner: respx.MockRouter, client: HetznerCloudClient, status: int, code: str, kind: type[Exception]
) -> None:
    answers = [
        httpx.Response(status, json=error_json(code)),
        httpx.Response(201, json={"action": action_json()}),
    ]
    hetzner.post(CHANGE).mock(side_effect=answers)
    with pytest.raises(kind):
        await client.change_image_protection(4711, delete=True)
    assert (await client.change_image_protection(4711, delete=True)).id == 13


async def test_a_rejected_read_rejects_no_change(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.get("/images/4711").respond(401, json=error_json("unauthorized"))
    hetzner.post(CHANGE).respond(201, json={"action": action_json()})
    with pytest.raises(AuthenticationError):
        await client.get_image(4711)
    assert (await client.change_image_protection(4711, delete=True)).id == 13
