"""Errors of responses: what does not look like the API is said to be the likely cause."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import HetznerCloudError, InvalidResponseError
from hetzner_cloud.requests import ApiRequest
from hetzner_cloud.retry import is_transient
from hetzner_cloud.settings import Settings
from hetzner_cloud.transport import Transport
from tests.support.api_json import ENDPOINT, TOKEN, error_json

PAGE = {"html": "<html><h1>Welcome to nginx!</h1></html>"}
ADVICE = f"check the endpoint of the credentials block 'prod', {ENDPOINT}"


@pytest.fixture
def hetzner() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ENDPOINT) as router:
        yield router


async def error_of() -> HetznerCloudError:
    config = ClientConfig(SecretStr(TOKEN), ENDPOINT, credentials_label="the credentials block 'prod'")
    async with Transport(config, Settings()) as transport:
        with pytest.raises(HetznerCloudError) as caught:
            await transport.send(ApiRequest("GET", "/images"))
    return caught.value


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, PAGE),
        (203, PAGE),
        (301, {"headers": {"Location": "https://example.test/"}}),
        (302, PAGE),
        (400, {"text": "The plain HTTP request was sent to HTTPS port"}),
        (403, PAGE),
        (404, PAGE),
        (404, {}),
        (404, {"json": {"detail": "Not Found"}}),
        (404, {"json": {"error": "no such page"}}),
        (405, {}),
        (421, {}),
    ],
)
async def test_the_endpoint_is_said_to_be_the_likely_cause_when_the_response_is(
    hetzner: respx.MockRouter, status: int, content: dict[str, Any]
) -> None:
    hetzner.get("/images").mock(return_value=httpx.Response(status, **content))
    error = await error_of()
    assert "does not look like the Hetzner Cloud API" in str(error)
    assert ADVICE in str(error)
    assert len(hetzner.calls) == 1


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (401, {"json": error_json("unauthorized")}),
        (401, {}),
        (404, {"json": error_json("not_found")}),
        (409, {}),
        (422, {"json": error_json("invalid_input")}),
        (423, {}),
        (500, PAGE),
        (502, PAGE),
        (503, {}),
    ],
)
async def test_nothing_is_said_of_the_endpoint_when_the_response_may_be_the_api_s(
    hetzner: respx.MockRouter, status: int, content: dict[str, Any]
) -> None:
    hetzner.get("/images").mock(return_value=httpx.Response(status, **content))
    assert "does not look like" not in str(await error_of())


async def test_a_page_in_place_of_json_is_worth_a_retry(hetzner: respx.MockRouter) -> None:
    """A network's login page, or an overloaded gateway's."""
    hetzner.get("/images").respond(html=PAGE["html"])
    error = await error_of()
    assert isinstance(error, InvalidResponseError)
    assert (error.code, error.status_code, is_transient(error)) == ("invalid_response", 200, True)
