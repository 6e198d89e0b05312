"""Waiting before a request is sent: never in silence, and never longer than the settings allow."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from hetzner_cloud.client_pool import pooled_client
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import ApiError, HetznerCloudError, RateLimitError, ServerError
from hetzner_cloud.requests import ApiRequest
from hetzner_cloud.settings import Settings
from hetzner_cloud.transport import Transport
from tests.support.api_json import ENDPOINT, TOKEN, error_json, image_json
from tests.support.manual_time import Clock

IMAGES = ApiRequest("GET", "/images")
LIMITED = httpx.Response(429, json=error_json("rate_limit_exceeded"))
SERVER_TIME = 1_780_000_000.0
LABEL = "the credentials block 'prod'"
Connect = Callable[..., Transport]


def date(unix_time: float) -> str:
    return format_datetime(datetime.fromtimestamp(unix_time, UTC), usegmt=True)


def unavailable(retry_after: str, status: int = 503, code: str = "unavailable") -> httpx.Response:
    headers = {"Retry-After": retry_after, "Date": date(SERVER_TIME)}
    return httpx.Response(status, headers=headers, json=error_json(code))


def empty_for_a_day(status: int = 200) -> httpx.Response:
    headers = {
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": f"{SERVER_TIME + 86_400:.0f}",
        "Date": date(SERVER_TIME),
    }
    return httpx.Response(status, headers=headers, json={})


@pytest.fixture
def hetzner() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ENDPOINT) as router:
        yield router


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(clock: Clock) -> Connect:
    def make(*, reserve: float = 0.1, **settings: Any) -> Transport:
        config = ClientConfig(SecretStr(TOKEN), ENDPOINT, reserve, LABEL)
        return Transport(config, Settings(**settings), clock=clock, sleep=clock.sleep)

    return make


async def error_of(transport: Transport) -> HetznerCloudError:
    with pytest.raises(HetznerCloudError) as caught:
        await transport.send(IMAGES)
    return caught.value


def logged(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.name == "hetzner_cloud.throttle_log"]


# The rate limit


async def test_one_request_a_minute_is_sent_when_the_budget_is_said_to_be_empty_for_a_day(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hetzner_cloud")
    hetzner.get("/images").mock(return_value=empty_for_a_day())
    async with connect() as transport:
        for _ in range(7):
            await transport.send(IMAGES)
    assert clock.slept == pytest.approx([60] * 5)
    assert logged(caplog) == [
        f"Rate limited, {LABEL}: 0 requests left; throttling to 0.0167 requests/s, next in 60 s"
    ]


async def test_no_request_waits_longer_than_the_timeout_when_the_headers_ask_for_it(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    hetzner.get("/images").mock(return_value=empty_for_a_day())
    async with connect(rate_limit_timeout_seconds=10) as transport:
        for _ in range(4):
            await transport.send(IMAGES)
    assert clock.slept == pytest.approx([10] * 2)


async def test_the_others_go_out_at_once_when_the_first_response_corrects_the_headers(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    plenty = {"RateLimit-Limit": "3600", "RateLimit-Remaining": "3000"}
    route = hetzner.get("/images")
    route.side_effect = [empty_for_a_day(), empty_for_a_day(), *[httpx.Response(200, headers=plenty)] * 20]
    async with connect() as transport:
        for _ in range(2):
            await transport.send(IMAGES)
        await asyncio.gather(*(transport.send(IMAGES) for _ in range(20)))
    assert clock.now <= 1_000 + 2 * 60


async def test_a_request_that_is_given_up_says_why_and_what_to_do(
    hetzner: respx.MockRouter, connect: Connect
) -> None:
    headers = dict(empty_for_a_day().headers)
    hetzner.get("/images").respond(429, headers=headers, json=error_json("rate_limit_exceeded", "too many"))
    async with connect(rate_limit_timeout_seconds=120) as transport:
        error = await error_of(transport)
    assert isinstance(error, RateLimitError)
    assert "For 120 s no other response was received" in str(error)
    assert "RateLimit-Limit 1, RateLimit-Remaining 0, RateLimit-Reset 2026-05-29 20:26 UTC" in str(error)
    assert "HETZNER_CLOUD_RATE_LIMIT_TIMEOUT_SECONDS" in str(error)


async def test_all_requests_that_wait_are_given_up_together(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    hetzner.get("/images").mock(return_value=LIMITED)
    async with connect() as transport:
        results = await asyncio.gather(*(transport.send(IMAGES) for _ in range(200)), return_exceptions=True)
    assert {type(result) for result in results} == {RateLimitError}
    assert 900 <= clock.now - 1_000 <= 1_100
    assert len(hetzner.calls) < 60
    assert any("GET /images was not sent: GET /images returned 429" in str(one) for one in results)


async def test_a_request_made_later_is_tried_once_and_a_success_restores_the_timeout(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    route = hetzner.get("/images").mock(return_value=LIMITED)
    async with connect(rate_limit_timeout_seconds=100) as transport:
        await error_of(transport)
        calls, began = len(hetzner.calls), clock.now
        await error_of(transport)
        assert (len(hetzner.calls) - calls, clock.now - began <= 60) == (1, True)
        route.side_effect = [httpx.Response(200), LIMITED, LIMITED, httpx.Response(200)]
        await transport.send(IMAGES)
        await transport.send(IMAGES)


# Retry-After of transient errors


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("30", 30),
        ("0.5", 0.5),
        ("60", 60),
        ("3600", 60),
        ("999999999999", 60),
        (date(SERVER_TIME + 30), 30),
        (date(SERVER_TIME + 86_400), 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60),
        (date(SERVER_TIME - 30), 0),
        ("0", 0),
        ("-1", 0),
        ("nan", 0),
        ("inf", 0),
        ("1e400", 0),
        ("1e3", 0),
        ("1_000", 0),
        ("soon", 0),
        ("", 0),
        ("30, 30", 0),
        ("٣٠", 0),
        ("9" * 5_000, 0),
        ("Mon, 99 Foo 2026 99:99:99 GMT", 0),
    ],
)
async def test_all_requests_of_a_project_wait_as_long_as_a_503_asks_for_within_bounds(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, retry_after: str, seconds: float
) -> None:
    response = httpx.Response(
        503,
        headers=[(b"Retry-After", retry_after.encode()), (b"Date", date(SERVER_TIME).encode())],
        json=error_json("unavailable"),
    )
    hetzner.get("/images").mock(side_effect=[response, httpx.Response(200)])
    async with connect() as transport:
        await error_of(transport)
        await transport.send(IMAGES)
    assert sum(clock.slept) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "server_error"),
        (502, ""),
        (504, "timeout"),
        (503, "maintenance"),
        (403, "maintenance"),
        (409, "conflict"),
    ],
)
async def test_a_retry_after_is_honoured_whatever_the_transient_status(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock, status: int, code: str
) -> None:
    hetzner.get("/images").mock(side_effect=[unavailable("30", status, code), httpx.Response(200)])
    async with connect() as transport:
        error = await error_of(transport)
        await transport.send(IMAGES)
    assert isinstance(error, ApiError)
    assert (error.retry_after_seconds, clock.slept) == (30, [30])


async def test_nothing_waits_when_an_error_is_not_transient(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    hetzner.get("/images").mock(side_effect=[unavailable("30", 404, "not_found"), httpx.Response(200)])
    async with connect() as transport:
        await error_of(transport)
        await transport.send(IMAGES)
    assert clock.slept == []


async def test_a_delay_beyond_the_longest_is_named_in_error_and_log(
    hetzner: respx.MockRouter, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hetzner_cloud")
    hetzner.get("/images").mock(return_value=unavailable("3600"))
    async with connect(retry_max_delay_seconds=20) as transport:
        error = await error_of(transport)
    assert isinstance(error, ServerError)
    assert "Its Retry-After is 3600 s; the maximum delay is 20 s" in str(error)
    [line] = logged(caplog)
    assert (
        line == f"Unavailable, {LABEL}: GET /images returned 503 with a Retry-After of 3600 s; next in 20 s"
    )


async def test_requests_that_wait_for_a_connection_are_held_once_and_all_together(
    hetzner: respx.MockRouter, connect: Connect, clock: Clock
) -> None:
    sent: list[float] = []

    async def answer(_request: httpx.Request) -> httpx.Response:
        sent.append(clock.now)
        return unavailable("30")

    hetzner.get("/images").mock(side_effect=answer)
    async with connect(max_concurrent_requests=2, retry_max_delay_seconds=30) as transport:
        results = await asyncio.gather(*(transport.send(IMAGES) for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {ServerError}
    assert len([at for at in sent if at == 1_000]) <= 2
    assert max(sent) == pytest.approx(1_030)


async def test_the_delay_holds_when_the_client_was_closed_in_between(
    hetzner: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HETZNER_CLOUD_RETRY_MAX_DELAY_SECONDS", "0.2")
    answers = [unavailable("30"), httpx.Response(200, json={"image": image_json()})]
    hetzner.get("/images/4711").mock(side_effect=answers)
    config = ClientConfig(SecretStr(TOKEN), ENDPOINT)
    loop = asyncio.get_running_loop()
    with pytest.raises(ServerError):
        async with pooled_client(config) as client:
            await client.get_image(4711)
    failed_at = loop.time()
    async with pooled_client(config) as client:
        await client.get_image(4711)
    assert loop.time() - failed_at >= 0.15


async def test_a_queue_is_logged_when_each_of_its_requests_waits_only_a_moment(
    hetzner: respx.MockRouter, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hetzner_cloud")
    hetzner.get("/images").respond(headers={"RateLimit-Limit": "7200", "RateLimit-Remaining": "720"})
    async with connect() as transport:
        await transport.send(IMAGES)
        await asyncio.gather(*(transport.send(IMAGES) for _ in range(10)))
    [line] = logged(caplog)
    pattern = r"7[12]\d requests left; throttling to (1\.9\d|2) requests/s, next in 0\.5\d* s"
    assert re.fullmatch(f"Rate limited, {LABEL}: {pattern}", line)
