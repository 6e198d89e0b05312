"""Whatever is answered: what is valid is read, all else is one of our errors, and the token stays here."""

import asyncio
import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
import respx
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from hetzner_cloud.client import HetznerCloudClient, _ActionResponse, _ImageResponse, _PricingResponse
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import ApiError, HetznerCloudError, InvalidResponseError
from hetzner_cloud.models import Action, Image
from hetzner_cloud.pages import ActionsPage, ImagesPage, Page, ServersPage
from hetzner_cloud.responses import ApiResponse, parse_error, parse_model
from hetzner_cloud.settings import Settings
from snapshot_protection.error_info import ErrorInfo
from tests.support.api_json import ENDPOINT, MAX_ID, TOKEN, body_of
from tests.support.figures import RecordFigure, example_of
from tests.support.loopback_servers import RecordingHandler, on_loopback
from tests.support.openapi import DESCRIPTION, bodies, read_description

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
# Words of the API in the wrong places reach further in than made-up words.
NEARLY = st.recursive(
    JSON,
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                "images",
                "image",
                "actions",
                "action",
                "servers",
                "pricing",
                "currency",
                "price_per_gb_month",
                "meta",
                "pagination",
                "id",
                "type",
                "protection",
                "delete",
                "status",
                "error",
                "code",
                "message",
                "details",
                "fields",
                "next_page",
            ]
        ),
        inner | st.lists(inner, max_size=3),
        max_size=6,
    ),
)
BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | NEARLY.map(lambda value: json.dumps(value).encode())
)
NUMBERS = st.integers().map(str) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "RateLimit-Limit",
            "RateLimit-Remaining",
            "RateLimit-Reset",
            "Retry-After",
            "Date",
            "X-Correlation-Id",
        ]
    ),
    NUMBERS,
)
MODELS = [ImagesPage, ActionsPage, ServersPage, _ImageResponse, _ActionResponse, _PricingResponse]
CALLS: list[Callable[[HetznerCloudClient], Awaitable[object]]] = [
    lambda client: client.list_images(),
    lambda client: client.get_image(1),
    lambda client: client.list_actions_for_image(1),
    lambda client: client.get_action_for_image(1, 2),
    lambda client: client.change_image_protection(1, delete=True),
    lambda client: client.list_image_actions(ids=[2]),
    lambda client: client.get_image_action(2),
    lambda client: client.list_actions([2]),
    lambda client: client.delete_image(1),
    lambda client: client.list_servers(),
    lambda client: client.list_prices(),
]
THOROUGH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
DEEP, LONG = b"[" * 200_000, b'{"images": [{"id": ' + b"9" * 6_000 + b"}]}"

described = pytest.mark.skipif(not DESCRIPTION.exists(), reason=f"no OpenAPI description at {DESCRIPTION}")


def valid(name: str) -> st.SearchStrategy[Any]:
    """Answers as the description has them."""
    if not DESCRIPTION.exists():
        return st.nothing()
    components = read_description()["components"]["schemas"]
    return bodies(components[name], components)


def is_valid(number: int) -> bool:
    """Whether the API can have it as an id, as its documentation says and its description does not."""
    return 1 <= number <= MAX_ID


@described
@settings(suppress_health_check=THOROUGH)
@given(body=valid("list_images_response"))
def test_every_valid_list_of_images_is_read(body: Any) -> None:
    example_of("every valid list of images is read")
    page = parse_model(ImagesPage, ApiResponse("GET /images", 200, body_of(body)))
    assert [
        (image.id, image.type, image.is_protected, image.description, image.status) for image in page.images
    ] == [
        (one["id"], one["type"], one["protection"]["delete"], one["description"], one["status"])
        for one in body["images"]
        if is_valid(one["id"])
    ]
    assert len(page.unreadable) == sum(not is_valid(one["id"]) for one in body["images"])
    assert page.pagination.next_page == body["meta"]["pagination"]["next_page"]


@described
@settings(suppress_health_check=THOROUGH)
@given(body=valid("list_actions_response"))
def test_every_valid_list_of_actions_is_read(body: Any) -> None:
    example_of("every valid list of actions is read")
    page = parse_model(ActionsPage, ApiResponse("GET /images/actions", 200, body_of(body)))
    assert [(action.id, action.status, action.command) for action in page.actions] == [
        (one["id"], one["status"], one["command"]) for one in body["actions"] if is_valid(one["id"])
    ]


@described
@settings(suppress_health_check=THOROUGH)
@given(body=valid("error_response"), status=st.integers(400, 599))
def test_every_valid_error_is_read(body: Any, status: int) -> None:
    example_of("every valid error is read")
    error = parse_error(ApiResponse("GET /images", status, body_of(body), "c0ffee"))
    assert (error.status_code, error.correlation_id) == (status, "c0ffee")


@pytest.mark.parametrize("model", MODELS)
@given(body=BODIES)
@example(body=DEEP)
@example(body=LONG)
@example(body=b'{"images": [{"id": 1, "type": "snapshot", "protection": {"delete": true}, "labels": NaN}]}')
def test_a_success_is_read_or_one_of_our_errors(model: type[Page], body: bytes) -> None:
    example_of("bytes and JSON as a success: read, or one of our errors")
    try:
        read = parse_model(model, ApiResponse("GET /x", 200, body_of(body)))
    except InvalidResponseError as error:
        shown = str(error)
    else:
        shown = model.__name__ if isinstance(read, model) else ""
    assert shown.isprintable()
    assert 0 < len(shown) < 1_000


@given(body=BODIES, status=st.integers(300, 599))
@example(body=DEEP, status=500)
@example(body=LONG, status=404)
def test_an_error_is_one_of_ours_whatever_it_says(body: bytes, status: int) -> None:
    example_of("bytes and JSON as an error: one of our errors")
    error = parse_error(ApiResponse("GET /x", status, body_of(body)))
    assert isinstance(error, ApiError)
    for shown in (str(error), ErrorInfo.of(error).message, ErrorInfo.of(error).code):
        assert shown.isprintable()
        assert len(shown) < 3_000


@settings(max_examples=200, suppress_health_check=THOROUGH)
@given(
    call=st.sampled_from(CALLS), status=st.integers(200, 599).filter(lambda code: code != 429),
    headers=HEADERS, body=BODIES,
)  # fmt: skip
def test_a_call_returns_or_raises_one_of_our_errors(
    call: Callable[[HetznerCloudClient], Awaitable[object]], status: int, headers: dict[str, str], body: bytes
) -> None:
    example_of("calls of the client, with any status, headers and body: a value, or one of our errors")

    async def ask() -> None:
        client = HetznerCloudClient(ClientConfig(SecretStr(TOKEN)), Settings(rate_limit_timeout_seconds=1e-9))
        with respx.mock(base_url=ENDPOINT) as router:
            router.route().mock(return_value=httpx.Response(status, headers=headers, content=body))
            async with client, asyncio.timeout(10):
                await call(client)

    shown = ""
    try:
        asyncio.run(ask())
    except HetznerCloudError as error:
        shown = f"{error!r}{error.args}"
    assert TOKEN not in shown


@pytest.mark.slow
@pytest.mark.parametrize("model", [Image, Action])
@given(value=NEARLY)
def test_a_model_takes_json_or_leaves_it(model: type[Image] | type[Action], value: Any) -> None:
    example_of("JSON as an image or an action: accepted or rejected correctly")
    with suppress(ValueError):
        assert model.model_validate(value).id == value["id"]


class _Redirects(RecordingHandler):
    location = ""
    status = 302

    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        self.send_response(self.status)
        self.send_header("Location", self.location)
        self.end_headers()

    do_POST = do_DELETE = do_GET  # noqa: N815 - http.server's own name


class _Gigabyte(RecordingHandler):
    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        self.send_response(200)
        self.send_header("Content-Length", str(2**30))
        self.end_headers()
        part = b" " * 2**20
        for _ in range(2**10):
            self.wfile.write(part)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_an_endpoint_that_redirects_elsewhere_never_hands_on_the_token(status: int) -> None:
    with on_loopback(RecordingHandler) as elsewhere:
        kind = type("_", (_Redirects,), {"location": f"http://127.0.0.1:{elsewhere.server_port}/v1/images"})
        kind.status = status  # type: ignore[attr-defined]  # of the class made above
        with on_loopback(kind) as redirects:
            endpoint = f"http://127.0.0.1:{redirects.server_port}/v1"
            async with HetznerCloudClient(ClientConfig(SecretStr(TOKEN), endpoint)) as client:
                for call in CALLS:
                    with pytest.raises(HetznerCloudError, match=f"returned {status}"):
                        await call(client)
            redirects.shutdown()
        elsewhere.shutdown()
    assert not RecordingHandler.asked


_READS_A_GIGABYTE = """
import asyncio, sys
from pydantic import SecretStr
from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import InvalidResponseError

def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1])

async def ask():
    async with HetznerCloudClient(ClientConfig(SecretStr("token-0123456789"), sys.argv[1])) as client:
        before = peak()
        try:
            await client.get_image(1)
        except InvalidResponseError as error:
            print((peak() - before) // 1024)
            print(error)
            return
    sys.exit("it was read")

asyncio.run(ask())
"""


def growth_in_megabytes(handler: type[BaseHTTPRequestHandler]) -> tuple[int, str]:
    """How much memory a client takes for a response, and what it says of it."""
    with on_loopback(handler) as server:
        endpoint = f"http://127.0.0.1:{server.server_port}/v1"
        command = [sys.executable, "-c", _READS_A_GIGABYTE, endpoint]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        server.shutdown()
    grown, error = done.stdout.splitlines()
    return int(grown), error


def test_a_gigabyte_does_not_eat_the_memory(record_figure: RecordFigure) -> None:
    grown, error = growth_in_megabytes(_Gigabyte)
    record_figure("memory", megabytes=grown)
    assert "has more than" in error
    assert grown < 128


def sends(body: bytes, encoding: str) -> type[BaseHTTPRequestHandler]:
    class Sends(RecordingHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's own name
            self.send_response(200)
            self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Sends


def bombs() -> dict[str, tuple[bytes, str]]:
    """Responses of some kilobytes, each with its encoding, and what they unpack to."""
    stream = zlib.compressobj(wbits=31)
    zeros = b"".join([*(stream.compress(bytes(2**20)) for _ in range(256)), stream.flush()])
    return {
        "256 MiB": (zeros, "gzip"),
        "256 MiB, twice": (gzip.compress(zeros), "gzip, gzip"),
        "millions of entries": (gzip.compress(b'{"image": [' + b"{}," * 2_700_000 + b"{}]}", 1), "gzip"),
        "millions of lists": (gzip.compress(b'{"image": ' + b"[" * 100 + b"[]," * 2_700_000, 1), "gzip"),
    }


@pytest.mark.reliability
def test_a_few_kilobytes_do_not_eat_the_memory() -> None:
    reasons = ["has more than", "Content-Encoding is gzip, gzip", "image: Input should be", "Invalid JSON"]
    for (body, encoding), reason in zip(bombs().values(), reasons, strict=True):
        assert len(body) < 2**18
        grown, error = growth_in_megabytes(sends(body, encoding))
        assert reason in error
        assert grown < 400, reason
