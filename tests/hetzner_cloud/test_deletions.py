"""Deletions: one request each, whatever comes of it, and no error that anything would repeat."""

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.deletions import DeletionUnconfirmedError, ImageNotDeletedError, settles_deletion
from hetzner_cloud.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    HetznerCloudError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProtectedError,
    RateLimitError,
    ReadOnlyTokenError,
    ResourceUnavailableError,
)
from hetzner_cloud.models import Image
from hetzner_cloud.retry import RetryPolicy, is_transient
from hetzner_cloud.settings import Settings
from sandbox import Fault, Sandbox, serve
from tests.support.api_json import CORRELATION_ID, ENDPOINT, TOKEN, action_json, error_json, image_json

IMAGE = "/images/4711"
CHANGE = "/images/4711/actions/change_protection"


@pytest.fixture
def hetzner() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ENDPOINT) as router:
        yield router


@pytest.fixture
async def client() -> AsyncIterator[HetznerCloudClient]:
    config = ClientConfig(SecretStr(TOKEN), credentials_label="the credentials block 'prod'")
    async with HetznerCloudClient(config, Settings(rate_limit_timeout_seconds=5)) as client:
        yield client


@asynccontextmanager
async def connected(sandbox: Sandbox, **settings: Any) -> AsyncIterator[HetznerCloudClient]:
    with serve(sandbox):
        config = ClientConfig(SecretStr(sandbox.token), sandbox.endpoint)
        async with HetznerCloudClient(config, Settings(**settings)) as client:
            yield client


async def test_a_deletion_is_one_request_without_query_and_body(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    route = hetzner.delete(IMAGE).respond(204)
    await client.delete_image(4711)
    request = route.calls.last.request
    assert (request.method, request.url.query, request.content) == ("DELETE", b"", b"")
    assert len(hetzner.calls) == 1


async def test_an_image_is_deleted_from_the_list_when_it_was_deleted() -> None:
    sandbox = Sandbox(snapshots=2)
    first, second = sandbox.images
    async with connected(sandbox) as client:
        await client.delete_image(first)
        assert [image.id for image in await client.list_images()] == [second]
        with pytest.raises(NotFoundError):
            await client.get_image(first)
        with pytest.raises(NotFoundError):
            await client.delete_image(first)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not_found", NotFoundError),
        (423, "protected", ProtectedError),
        (423, "", ProtectedError),
        (403, "forbidden", PermissionDeniedError),
        (403, "token_readonly", ReadOnlyTokenError),
        (401, "token_readonly", ReadOnlyTokenError),
        (401, "unauthorized", AuthenticationError),
        (409, "resource_in_use", ConflictError),
        (412, "resource_unavailable", ResourceUnavailableError),
        (403, "maintenance", ResourceUnavailableError),
        (422, "unsupported_error", InvalidRequestError),
        (400, "json_error", InvalidRequestError),
    ],
)
async def test_a_rejection_is_raised_as_it_is_after_one_request(
    hetzner: respx.MockRouter, client: HetznerCloudClient, status: int, code: str, kind: type[Exception]
) -> None:
    body = error_json(code)
    if not code:
        del body["error"]["code"]
    hetzner.delete(IMAGE).respond(status, json=body)
    with pytest.raises(kind) as caught:
        await client.delete_image(4711)
    assert type(caught.value) is kind
    assert len(hetzner.calls) == 1


UNSETTLED: dict[str, Any] = {
    "429": httpx.Response(429, json=error_json("rate_limit_exceeded")),
    "429 with Retry-After": httpx.Response(429, headers={"Retry-After": "1"}),
    "500": httpx.Response(500, json=error_json("server_error")),
    "502, HTML": httpx.Response(502, html="<html></html>"),
    "503": httpx.Response(503, json=error_json("unavailable")),
    "504": httpx.Response(504),
    "409 conflict": httpx.Response(409, json=error_json("conflict")),
    "423 locked": httpx.Response(423, json=error_json("locked")),
    "403 maintenance with Retry-After": httpx.Response(
        403, json=error_json("maintenance"), headers={"Retry-After": "1"}
    ),
    "404 of a gateway": httpx.Response(404, html="<html></html>"),
    "408 of a gateway": httpx.Response(408),
    "302": httpx.Response(302, headers={"Location": "/"}),
    "200 with a body": httpx.Response(200, json={}),
    "200, HTML": httpx.Response(200, html="<html></html>"),
    "202": httpx.Response(202),
    "204, HTML": httpx.Response(204, headers={"Content-Type": "text/html"}),
    "timeout": httpx.ReadTimeout("slow"),
    "connection lost": httpx.ReadError("reset"),
    "unreachable": httpx.ConnectError("refused"),
    "broken response": httpx.RemoteProtocolError("broken"),
}


@pytest.mark.parametrize("response", UNSETTLED.values(), ids=UNSETTLED)
async def test_a_deletion_is_unconfirmed_and_nothing_is_sent_again_after(
    hetzner: respx.MockRouter, client: HetznerCloudClient, response: Any
) -> None:
    hetzner.delete(IMAGE).mock(side_effect=[response] * 9)
    policy = RetryPolicy(base_seconds=0)
    with pytest.raises(DeletionUnconfirmedError, match="unknown whether image 4711 was deleted") as caught:
        await policy.call(lambda: client.delete_image(4711))
    assert len(hetzner.calls) == 1
    assert not is_transient(caught.value)
    assert caught.value.code
    assert TOKEN not in f"{caught.value!r} {caught.value.args} {vars(caught.value)}"


async def test_an_unconfirmed_deletion_keeps_code_status_and_correlation_id_of_its_cause(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    headers = {"X-Correlation-Id": CORRELATION_ID}
    hetzner.delete(IMAGE).respond(503, json=error_json("unavailable"), headers=headers)
    with pytest.raises(DeletionUnconfirmedError) as caught:
        await client.delete_image(4711)
    error = caught.value
    assert (error.code, error.status_code, error.correlation_id) == ("unavailable", 503, CORRELATION_ID)


@pytest.mark.parametrize(("kind", "deleted"), [("drop", False), ("drop_after", True), ("delay", False)])
async def test_a_deletion_is_unconfirmed_whether_it_was_carried_out_or_not(
    *, kind: Any, deleted: bool
) -> None:
    sandbox = Sandbox(snapshots=1)
    sandbox.faults.add(Fault(kind=kind, operation="delete_image", times=1))
    async with connected(sandbox, request_timeout_seconds=0.2) as client:
        with pytest.raises(DeletionUnconfirmedError):
            await client.delete_image(min(sandbox.images))
    assert len(sandbox.requests) <= 1
    assert (not sandbox.images) is deleted


async def test_a_success_without_effect_is_a_success_until_the_image_is_read() -> None:
    sandbox = Sandbox(snapshots=1)
    sandbox.faults.add(Fault(kind="delete_without_effect"))
    async with connected(sandbox) as client:
        await client.delete_image(min(sandbox.images))
        assert (await client.get_image(min(sandbox.images))).is_snapshot


async def test_a_deletion_is_rejected_when_another_user_protects_the_image_after_it_was_read() -> None:
    sandbox = Sandbox(snapshots=1)
    sandbox.faults.add(Fault(kind="protected_again"))
    image_id = min(sandbox.images)
    async with connected(sandbox) as client:
        assert not (await client.get_image(image_id)).is_protected
        with pytest.raises(ProtectedError):
            await client.delete_image(image_id)
        assert (await client.get_image(image_id)).is_protected


async def test_no_change_is_sent_when_the_token_was_rejected_at_a_deletion_nor_the_other_way_round(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.delete(IMAGE).respond(403, json=error_json("token_readonly"))
    for call in (client.delete_image(4711), client.change_image_protection(4711, delete=True)):
        with pytest.raises(ReadOnlyTokenError, match="the credentials block 'prod'"):
            await call
    with pytest.raises(ReadOnlyTokenError):
        await client.delete_image(4711)
    assert len(hetzner.calls) == 1


async def test_protection_can_be_restored_after_a_deletion_was_rejected_for_another_reason(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.delete(IMAGE).respond(403, json=error_json("forbidden"))
    hetzner.post(CHANGE).respond(201, json={"action": action_json()})
    with pytest.raises(PermissionDeniedError):
        await client.delete_image(4711)
    assert (await client.change_image_protection(4711, delete=True)).id == 13


async def test_a_deletion_is_not_sent_when_its_turn_comes_too_late(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    hetzner.delete(IMAGE).respond(429, headers={"Retry-After": "100"})
    with pytest.raises(DeletionUnconfirmedError, match="429"):
        await client.delete_image(4711)
    with pytest.raises(DeletionUnconfirmedError, match=r"was not sent within 0\.1 s") as caught:
        await client.delete_image(4711, max_wait_seconds=0.1)
    assert caught.value.code == "not_sent"
    assert len(hetzner.calls) == 1


async def test_a_deletion_that_was_sent_is_not_cut_short_by_the_wait_for_its_turn(
    hetzner: respx.MockRouter, client: HetznerCloudClient
) -> None:
    async def slow(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1.1)
        return httpx.Response(204)

    hetzner.delete(IMAGE).mock(side_effect=slow)
    await client.delete_image(4711, max_wait_seconds=1)


async def test_a_deletion_is_cancelled_as_it_is_when_its_caller_is(client: HetznerCloudClient) -> None:
    started = asyncio.Event()

    async def never(_request: httpx.Request) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    with respx.mock(base_url=ENDPOINT, assert_all_called=False) as hetzner:
        hetzner.delete(IMAGE).mock(side_effect=never)
        deleting = asyncio.create_task(client.delete_image(4711))
        await started.wait()
        deleting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deleting


@pytest.mark.parametrize(
    ("error", "settled"),
    [
        (ProtectedError("no", "protected", 423), True),
        (NotFoundError("no", "not_found", 404), True),
        (NotFoundError("no", "http_404", 404), False),
        (ApiError("no", "http_302", 302), False),
        (ApiError("no", "teapot", 418), True),
        (RateLimitError("no", "rate_limit_exceeded", 429), False),
        (HetznerCloudError("no"), False),
    ],
    ids=str,
)
def test_only_the_api_s_own_rejection_settles_a_deletion(*, error: HetznerCloudError, settled: bool) -> None:
    assert settles_deletion(error) is settled


@pytest.mark.parametrize(
    "copied", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy], ids=["p", "c", "d"]
)
def test_the_errors_keep_all_that_they_have_when_they_are_copied(copied: Callable[[Any], Any]) -> None:
    cause = ApiError("it broke", "server_error", 500, CORRELATION_ID)
    unconfirmed = DeletionUnconfirmedError.of(4711, cause)
    error = ImageNotDeletedError(Image.model_validate(image_json()), unconfirmed)
    for one in (unconfirmed, error):
        again = copied(one)
        assert (type(again), str(again)) == (type(one), str(one))
        assert again.code == "server_error"
    assert copied(error).image == error.image


@pytest.mark.parametrize(("delete", "state"), [(True, "is protected"), (False, "is not protected")])
def test_the_error_of_an_image_that_still_exists_says_whether_it_is_protected(
    *, delete: bool, state: str
) -> None:
    image = Image.model_validate(image_json(protection={"delete": delete}))
    error = ImageNotDeletedError(image, HetznerCloudError("the connection was lost", "connection_lost"))
    assert str(error) == (
        f"Image 4711 was not deleted: it still exists and {state}: the connection was lost (connection_lost)"
    )
    assert not is_transient(error)
