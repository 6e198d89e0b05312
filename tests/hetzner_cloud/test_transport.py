"""The one place through which every request goes: what is sent, how fast, and how errors are raised."""

import asyncio
import gzip
import json
import logging
import pickle
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud import __version__
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import (
    ApiError,
    AuthenticationError,
    HetznerCloudError,
    InvalidArgumentError,
    NotFoundError,
    RateLimitError,
    TransportError,
)
from hetzner_cloud.json_body import JsonBody
from hetzner_cloud.requests import ApiRequest, Query
from hetzner_cloud.responses import ApiResponse
from hetzner_cloud.retry import is_transient
from hetzner_cloud.settings import Settings
from hetzner_cloud.tls import tls_context
from hetzner_cloud.transport import Transport
from tests.support.api_json import CORRELATION_ID, ENDPOINT, TOKEN, error_json
from tests.support.manual_time import Clock, settled

MIB = 2**20
OK = b"HTTP/1.1 200 OK\r\n"
REFUSED = httpx.Response(429, json=error_json("rate_limit_exceeded"))
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def hetzner() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ENDPOINT) as router:
        yield router


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(clock: Clock) -> Callable[..., Transport]:
    def make(endpoint: str = ENDPOINT, *, reserve: float = 0.1, **settings: Any) -> Transport:
        config = ClientConfig(
            SecretStr(TOKEN), endpoint, reserve, "the credentials block 'prod'", f"a-product/{__version__}"
        )
        return Transport(config, Settings(**settings), clock=clock, sleep=clock.sleep)

    return make


Connect = Callable[..., Transport]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Serve plain TCP on this machine; yields the endpoint."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass  # the client has enough
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def sends(*parts: bytes, echo: bytes = b"") -> Handler:
    """Respond with these bytes; `echo` is followed by the token as it was received."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        token = request.split(b"Bearer ")[1].split(b"\r\n")[0]
        writer.write(b"".join(parts) + (echo + token + b"\r\n\r\n" if echo else b""))
        await writer.drain()

    return handler


async def is_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the client leaves


async def trickles(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.005)


def unused_endpoint() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


def everything_of(error: BaseException, log: pytest.LogCaptureFixture) -> str:
    """All in which a secret of an error could be seen."""
    trace = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.args!r} {vars(error)!r} {trace} {pickle.dumps(error)!r} {log.text}"


def our_lines(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.name == "hetzner_cloud.throttle_log"]


async def test_a_request_is_sent_as_documented(hetzner: respx.MockRouter, connect: Connect) -> None:
    route = hetzner.get("/images").respond(json={"images": []}, headers={"X-Correlation-Id": CORRELATION_ID})
    query: Query = [
        ("type", "snapshot"),
        ("type", "backup"),
        ("label_selector", "env=prod,!tmp"),
        ("page", 1),
    ]
    async with connect() as transport:
        answer = await transport.send(ApiRequest("GET", "/images", query=query))
    assert answer == ApiResponse("GET /images", 200, JsonBody({"images": []}), CORRELATION_ID)
    request = route.calls.last.request
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["User-Agent"] == f"a-product/{__version__}"
    assert request.url.params.multi_items() == [(name, str(value)) for name, value in query]
    assert request.content == b""


async def test_a_body_is_sent_as_json(hetzner: respx.MockRouter, connect: Connect) -> None:
    route = hetzner.post("/images/1/actions/change_protection").respond(201, json={})
    async with connect() as transport:
        await transport.send(ApiRequest("POST", "/images/1/actions/change_protection", json={"delete": True}))
    request = route.calls.last.request
    assert json.loads(request.content) == {"delete": True}
    assert request.headers["Content-Type"] == "application/json"
    assert not request.url.query


async def test_the_endpoint_s_path_comes_first_when_it_has_one(
    respx_mock: respx.MockRouter, connect: Connect
) -> None:
    respx_mock.get("https://proxy.example:8443/hetzner/v1/images").respond(json={})
    async with connect("https://proxy.example:8443/hetzner/v1/") as transport:
        assert (await transport.send(ApiRequest("GET", "/images"))).status_code == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_token_goes_nowhere_else_when_the_api_redirects(
    hetzner: respx.MockRouter, connect: Connect, method: str, status: int
) -> None:
    hetzner.request(method, "/images").respond(status, headers={"Location": "https://evil.test/images"})
    async with connect() as transport:
        with pytest.raises(ApiError) as caught:
            await transport.send(ApiRequest(method, "/images"))
    assert (caught.value.status_code, caught.value.code) == (status, f"http_{status}")
    assert len(hetzner.calls) == 1


async def test_an_error_of_the_api_is_raised_with_what_it_reports(
    hetzner: respx.MockRouter, connect: Connect
) -> None:
    hetzner.get("/images/1").respond(
        404, json=error_json("not_found", "image not found"), headers={"X-Correlation-Id": CORRELATION_ID}
    )
    async with connect() as transport:
        with pytest.raises(NotFoundError) as caught:
            await transport.send(ApiRequest("GET", "/images/1"))
    text = "GET /images/1 returned 404: image not found"
    assert str(caught.value) == f"{text} (not_found, {CORRELATION_ID})"
    assert len(hetzner.calls) == 1


async def test_a_strange_correlation_id_is_made_fit_to_be_shown(
    hetzner: respx.MockRouter, connect: Connect
) -> None:
    hetzner.get("/images").respond(500, headers={"X-Correlation-Id": "\x1b[2J" + "x" * 10_000})
    async with connect() as transport:
        with pytest.raises(ApiError) as caught:
            await transport.send(ApiRequest("GET", "/images"))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


async def test_nothing_is_sent_when_the_pre_send_check_rejects_it(
    hetzner: respx.MockRouter, connect: Connect
) -> None:
    def reject() -> None:
        raise NotFoundError("rejected earlier")

    request = ApiRequest("POST", "/images/1/actions/change_protection")
    async with connect() as transport:
        with pytest.raises(NotFoundError, match="rejected earlier"):
            await transport.send(request, pre_send_check=reject)
    assert not hetzner.calls


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"token": SecretStr(f"{TOKEN} ")}, "token"),
        ({"endpoint": f"https://{TOKEN}@api.hetzner.cloud/v1"}, "endpoint"),
        ({"rate_limit_reserve": 1.0}, "reserve"),
    ],
)
def test_a_config_is_rejected_without_showing_the_token(
    arguments: dict[str, Any], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    usable: dict[str, Any] = {"token": SecretStr(TOKEN), "endpoint": ENDPOINT, "rate_limit_reserve": 0.1}
    with pytest.raises(InvalidArgumentError, match=word) as caught:
        ClientConfig(**usable | arguments)
    assert TOKEN not in everything_of(caught.value, caplog)


async def test_the_token_is_not_in_what_a_connection_shows(connect: Connect) -> None:
    async with connect() as transport:
        assert TOKEN not in f"{transport!r} {vars(transport)!r} {transport._http.headers!r}"


async def test_a_short_token_is_not_taken_for_a_word_of_the_response(hetzner: respx.MockRouter) -> None:
    hetzner.get("/images").respond(404, json=error_json("not_found", "not found"))
    async with Transport(ClientConfig(SecretStr("not")), Settings()) as transport:
        with pytest.raises(NotFoundError, match="not found"):
            await transport.send(ApiRequest("GET", "/images"))


async def test_the_token_goes_through_no_proxy_when_the_endpoint_is_this_machine(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, unused_endpoint())
    async with (
        served(sends(OK + b"Content-Length: 2\r\n\r\n{}")) as endpoint,
        connect(endpoint) as transport,
    ):
        assert (await transport.send(ApiRequest("GET", "/images"))).body.content == {}


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem"])
def test_certificates_that_cannot_be_read_are_named(
    connect: Connect, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / name))
    tls_context.cache_clear()
    with pytest.raises(InvalidArgumentError, match="SSL_CERT_FILE"):
        connect()


async def test_leaving_closes_the_pool(connect: Connect) -> None:
    async with connect() as transport:
        assert not transport._http.is_closed
    assert transport._http.is_closed


# Faults


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (httpx.ConnectTimeout("slow"), "timeout", "no response from api.hetzner.cloud in 30 s"),
        (httpx.ReadTimeout("slow"), "timeout", "no response from api.hetzner.cloud in 30 s"),
        (httpx.WriteTimeout("slow"), "timeout", "no response from api.hetzner.cloud in 30 s"),
        (httpx.PoolTimeout("slow"), "timeout", "no response from api.hetzner.cloud in 30 s"),
        (httpx.ConnectError("refused"), "unreachable", "api.hetzner.cloud is unreachable: refused"),
        (httpx.ReadError("reset"), "connection_lost", "connection to api.hetzner.cloud lost: reset"),
        (httpx.ReadError(""), "connection_lost", "connection to api.hetzner.cloud lost: ReadError"),
        (httpx.WriteError("reset"), "connection_lost", "connection to api.hetzner.cloud lost: reset"),
        (httpx.CloseError("reset"), "connection_lost", "connection to api.hetzner.cloud lost: reset"),
        (httpx.RemoteProtocolError("x"), "connection_lost", "connection to api.hetzner.cloud lost: x"),
        (httpx.DecodingError("x"), "connection_lost", "connection to api.hetzner.cloud lost: x"),
        (httpx.ProxyError("x"), "connection_lost", "connection to api.hetzner.cloud lost: x"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_a_request_without_a_response_is_worth_a_retry(
    hetzner: respx.MockRouter, connect: Connect, fault: Exception, code: str, words: str
) -> None:
    hetzner.get("/images").mock(side_effect=fault)
    async with connect() as transport:
        with pytest.raises(TransportError) as caught:
            await transport.send(ApiRequest("GET", "/images"))
    assert type(caught.value) is TransportError
    assert str(caught.value) == f"GET /images: {words} ({code})"
    assert (caught.value.status_code, caught.value.correlation_id) == (None, None)
    assert is_transient(caught.value)
    assert len(hetzner.calls) == 1


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (is_silent, "timeout"),
        (trickles, "timeout"),
        (sends(), "connection_lost"),
        (sends(b"\x16\x03\x01 this is no HTTP\r\n\r\n"), "connection_lost"),
        (sends(OK), "connection_lost"),
        (sends(OK + b"Content-Length: 100\r\n\r\n{"), "connection_lost"),
        (sends(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"), "connection_lost"),
        (sends(OK + b"X: " + b"x" * 200_000), "connection_lost"),
        (sends(echo=b"HTTP/1.1 Bearer "), "connection_lost"),
        (sends(OK, echo=b"no header but Bearer "), "connection_lost"),
        (sends(OK, b"X-\x1b[2J: y\r\n", echo=b"\x1b"), "connection_lost"),
    ],
    ids=[
        "silent",
        "trickling",
        "closed",
        "no HTTP",
        "cut in the headers",
        "cut in the body",
        "cut in a chunk",
        "endless headers",
        "an echo for a status",
        "an echo for a header",
        "control characters",
    ],
)
async def test_a_broken_connection_is_reported_without_the_token_when_the_server_is(
    connect: Connect, handler: Handler, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hetzner_cloud")  # what httpcore says of the bytes it got is its own
    seconds = 0.05 if code == "timeout" else 5.0
    async with served(handler) as endpoint, connect(endpoint, request_timeout_seconds=seconds) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.send(ApiRequest("GET", "/images"))
    assert caught.value.code == code
    assert endpoint.split("/")[2] in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert TOKEN not in everything_of(caught.value, caplog)


async def test_a_server_that_is_not_there_is_unreachable(connect: Connect) -> None:
    endpoint = unused_endpoint()
    async with connect(endpoint) as transport:
        with pytest.raises(TransportError, match="is unreachable") as caught:
            await transport.send(ApiRequest("GET", "/images"))
    assert caught.value.code == "unreachable"
    assert endpoint.split("/")[2] in str(caught.value)


ESCAPED = "".join(f"\\u{ord(character):04x}" for character in TOKEN)
FAULTS: dict[str, Any] = {
    "unauthorized": httpx.Response(401, json=error_json("unauthorized")),
    "token_readonly": httpx.Response(401, json=error_json("token_readonly")),
    "server_error": httpx.Response(500, text="<html>"),
    "redirect": httpx.Response(302, headers={"Location": "https://evil.test"}),
    "the token sent back in a message": httpx.Response(422, json=error_json("invalid_input", f"no {TOKEN}")),
    "the token sent back in details": httpx.Response(
        422, json=error_json("x", details={"fields": [{"name": TOKEN, "messages": [TOKEN]}]})
    ),
    "the token sent back in escapes": httpx.Response(
        422,
        content=json.dumps(error_json("@", "no @", {"fields": [{"@": "@", "name": "@"}]})).replace(
            "@", ESCAPED
        ),
    ),
    "the token sent back as an encoding": httpx.Response(500, headers={"Content-Encoding": TOKEN}),
    "refused": REFUSED,
    "timeout": httpx.ReadTimeout("slow"),
    "unreachable": httpx.ConnectError("refused"),
    "connection_lost": httpx.RemoteProtocolError(f"illegal header line: Bearer {TOKEN}"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_the_token_is_nowhere_to_be_seen_when_a_request_meets(
    hetzner: respx.MockRouter, connect: Connect, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if isinstance(fault, httpx.Response):
        hetzner.get("/images").mock(return_value=fault)
    else:
        hetzner.get("/images").mock(side_effect=fault)
    async with connect(rate_limit_timeout_seconds=3) as transport:
        with pytest.raises(HetznerCloudError) as caught:
            await transport.send(ApiRequest("GET", "/images"))
    assert TOKEN not in everything_of(caught.value, caplog)


class Endless(httpx.AsyncByteStream):
    """A body without an end, in parts of a MiB."""

    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 1
            yield b" " * MIB


async def test_an_endless_response_is_read_up_to_a_bound(hetzner: respx.MockRouter, connect: Connect) -> None:
    body = Endless()
    hetzner.get("/images").mock(return_value=httpx.Response(200, stream=body))
    async with connect() as transport:
        response = await transport.send(ApiRequest("GET", "/images"))
    assert response.body == JsonBody(error=f"it has more than {8 * MIB} bytes")
    assert body.sent < 10


async def test_gzip_alone_is_requested(hetzner: respx.MockRouter, connect: Connect) -> None:
    route = hetzner.get("/images").respond(json={})
    async with connect() as transport:
        await transport.send(ApiRequest("GET", "/images"))
    assert route.calls.last.request.headers["Accept-Encoding"] == "gzip"


async def test_a_status_counts_when_the_body_cannot_be_decoded(
    hetzner: respx.MockRouter, connect: Connect
) -> None:
    bomb = gzip.compress(gzip.compress(b"x"))
    hetzner.get("/images").mock(
        side_effect=lambda _request: httpx.Response(
            401, stream=httpx.ByteStream(bomb), headers={"Content-Encoding": "gzip, gzip"}
        )
    )
    async with connect() as transport:
        with pytest.raises(AuthenticationError):
            await transport.send(ApiRequest("GET", "/images"))
    assert len(hetzner.calls) == 1


# Requests in flight


class Gate:
    """Responds only when it is opened; records how many requests wait before it."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0
        self.opened = asyncio.Event()

    async def __call__(self, _request: httpx.Request) -> httpx.Response:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.opened.wait()
        await asyncio.sleep(0)
        self.waiting -= 1
        return httpx.Response(200)


@pytest.mark.parametrize("places", [1, 3, 10])
async def test_no_more_requests_are_in_flight_than_set(
    hetzner: respx.MockRouter, connect: Connect, places: int
) -> None:
    gate = Gate()
    hetzner.get("/images").mock(side_effect=gate)
    async with connect(max_concurrent_requests=places) as transport, asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(transport.send(ApiRequest("GET", "/images")))
        await settled()
        assert gate.waiting == places
        gate.opened.set()
    assert gate.most == places
    assert len(hetzner.calls) == 40


async def test_a_cancelled_request_frees_its_slot_for_the_next(
    hetzner: respx.MockRouter, connect: Connect
) -> None:
    gate = Gate()
    hetzner.get("/images").mock(side_effect=gate)
    async with connect(max_concurrent_requests=1) as transport:
        cancelled = asyncio.create_task(transport.send(ApiRequest("GET", "/images")))
        await settled()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        gate.opened.set()
        assert (await transport.send(ApiRequest("GET", "/images"))).status_code == 200


async def test_an_error_frees_its_slot_for_the_next(hetzner: respx.MockRouter, connect: Connect) -> None:
    hetzner.get("/images").mock(side_effect=[httpx.ReadError("reset"), httpx.Response(200)])
    async with connect(max_concurrent_requests=1) as transport:
        with pytest.raises(TransportError):
            await transport.send(ApiRequest("GET", "/images"))
        assert (await transport.send(ApiRequest("GET", "/images"))).status_code == 200


# Flow control


def bucket(remaining: int, limit: int = 3_600) -> dict[str, str]:
    return {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(remaining)}


async def test_a_429_is_no_failure_and_one_line_in_the_log(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hetzner_cloud")
    hetzner.get("/images").mock(side_effect=[REFUSED, httpx.Response(200)])
    async with connect() as transport:
        assert (await transport.send(ApiRequest("GET", "/images"))).status_code == 200
    assert clock.slept == [1]
    [line] = our_lines(caplog)
    assert line.startswith("Rate limited, the credentials block 'prod': GET /images returned 429")
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({}, 1),
        (bucket(0), 1),
        (bucket(0, 7_200), 0.5),
        (bucket(3_000), 1),
        (bucket(0) | {"RateLimit-Reset": "9999999999"}, 1),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "86400"}, 300),
    ],
    ids=str,
)
async def test_a_rate_limited_request_is_sent_again_as_the_bucket_refills(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, headers: dict[str, str], pause: float
) -> None:
    hetzner.get("/images").mock(side_effect=[httpx.Response(429, headers=headers), httpx.Response(200)])
    async with connect() as transport:
        await transport.send(ApiRequest("GET", "/images"))
    assert clock.slept == pytest.approx([pause])


async def test_the_delay_doubles_when_a_request_is_rate_limited_again_and_again(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    hetzner.get("/images").mock(side_effect=[REFUSED] * 4 + [httpx.Response(200)])
    async with connect() as transport:
        await transport.send(ApiRequest("GET", "/images"))
    assert clock.slept == [1, 2, 4, 8]


async def test_a_rate_limited_request_fails_when_the_timeout_is_reached(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    hetzner.get("/images").mock(return_value=REFUSED)
    async with connect(rate_limit_timeout_seconds=100) as transport:
        with pytest.raises(RateLimitError) as caught:
            await transport.send(ApiRequest("GET", "/images"))
    assert (caught.value.code, caught.value.status_code) == ("rate_limit_exceeded", 429)
    assert 100 <= sum(clock.slept) <= 160
    assert len(hetzner.calls) == len(clock.slept) + 1


async def test_requests_rate_limited_together_are_logged_once_and_go_on_one_after_another(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hetzner_cloud")
    in_flight = asyncio.Barrier(5)

    async def answer(_request: httpx.Request) -> httpx.Response:
        if len(hetzner.calls) >= 5:
            return httpx.Response(200, headers=bucket(0))
        await in_flight.wait()
        return REFUSED

    hetzner.get("/images").mock(side_effect=answer)
    async with connect(max_concurrent_requests=5) as transport:
        await asyncio.gather(*(transport.send(ApiRequest("GET", "/images")) for _ in range(5)))
    assert len(hetzner.calls) == 10
    assert clock.now == pytest.approx(1_008)  # after 1 s and 1 s with nothing known, then every 2 s
    assert ["429" in line for line in our_lines(caplog)] == [
        True,
        False,
    ]  # once each: rate limited, throttled


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_requests_go_out_as_the_bucket_refills_when_a_response_reported_it_empty(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, status: int
) -> None:
    hetzner.get("/images").respond(status, headers=bucket(0))
    async with connect(reserve=0) as transport:
        for _ in range(4):
            try:
                await transport.send(ApiRequest("GET", "/images"))
            except ApiError:
                assert status != 200
    assert clock.slept == pytest.approx([1, 1])


async def test_no_request_waits_above_the_reserve(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    hetzner.get("/images").respond(headers=bucket(2_000))
    async with connect() as transport:
        for _ in range(20):
            await transport.send(ApiRequest("GET", "/images"))
    assert clock.slept == []


async def test_a_long_delay_is_logged_once_in_ten_minutes(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hetzner_cloud")
    hetzner.get("/images").respond(headers=bucket(0, limit=180))
    async with connect(reserve=0) as transport:
        for _ in range(40):
            await transport.send(ApiRequest("GET", "/images"))
    assert clock.slept == pytest.approx([20] * 38)
    lines = our_lines(caplog)
    assert len(lines) == 2
    assert lines[0].startswith("Rate limited, the credentials block 'prod': 0 requests left; ")
    assert lines[0].endswith("throttling to 0.05 requests/s, next in 20 s")


async def test_the_rate_limit_timeout_begins_with_the_first_429_and_not_in_the_queue(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    hetzner.get("/images").mock(side_effect=[REFUSED, httpx.Response(200)])
    async with connect(rate_limit_timeout_seconds=0.5, max_concurrent_requests=1) as transport:
        clock.now += 10
        assert (await transport.send(ApiRequest("GET", "/images"))).status_code == 200


async def test_an_error_keeps_nothing_behind_it_that_has_the_token(
    hetzner: respx.MockRouter, connect: Connect
) -> None:
    hetzner.get("/images").mock(side_effect=httpx.ConnectError)
    with pytest.raises(TransportError) as caught:
        async with connect() as transport:
            await transport.send(ApiRequest("GET", "/images"))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


EMPTY = b"Content-Length: 2\r\n\r\n{}"


def percent_encoded(text: str) -> str:
    return "".join(f"%{ord(character):02X}" for character in text)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 @\r\n",
        b"HTTP/1.1 500 @\r\n",
        OK + b"X-Echo: Bearer @\r\n",
        OK + b"Content-Encoding: @\r\n",
        OK + b"Set-Cookie: token=@\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/?token=@\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://@@@@[/\x01@\r\n",
        b"HTTP/1.1 401 @\r\nX-Correlation-Id: @\r\n",
        b"HTTP/1.1 @ 200\r\n",
        OK + b"@\r\n",
    ],
    ids=["reason", "reason of an error", "header", "encoding", "cookie", "redirect", "no address",
         "correlation id", "no status", "no header"],
)  # fmt: skip
@pytest.mark.parametrize("spell", [str, str.lower, percent_encoded])
async def test_an_echo_of_the_token_is_neither_logged_nor_raised_when_it_is_in_the(
    head: bytes, spell: Callable[[str], str], connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")  # of all loggers, httpcore's headers included
    received = head.replace(b"@", spell(TOKEN).encode()) + EMPTY
    shown = ""
    async with served(sends(received)) as endpoint, connect(endpoint) as transport:
        try:
            await transport.send(ApiRequest("GET", "/images"))
        except HetznerCloudError as error:
            shown = f"{error} {error!r} {error.args!r} {''.join(traceback.format_exception(error))}"
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    for text in (shown, caplog.text):
        assert TOKEN.lower() not in unquote(text).lower()


async def test_cookies_are_neither_kept_nor_sent_back(connect: Connect) -> None:
    requests: list[bytes] = []

    async def sets_cookies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            cookies = b"".join(b"Set-Cookie: c%d-%d=x\r\n" % (number, each) for each in range(500))
            writer.write(OK + cookies + EMPTY)
            await writer.drain()

    async with served(sets_cookies) as endpoint, connect(endpoint) as transport:
        for _ in range(2):
            await transport.send(ApiRequest("GET", "/images"))
    assert len(requests) == 2
    assert not any(b"cookie" in request.lower() for request in requests)
