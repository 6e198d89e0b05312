"""The one place through which every request goes: pool, requests in flight, flow control, bounded reading."""

import asyncio
import functools
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
from anyio import CapacityLimiter
from pydantic import SecretStr

from hetzner_cloud import __version__
from hetzner_cloud.errors import InvalidArgumentError, InvalidResponseError, TransportError
from hetzner_cloud.rate_limit import RateLimit
from hetzner_cloud.responses import Answer, parse_error
from hetzner_cloud.sanitize import printable
from hetzner_cloud.settings import Settings
from hetzner_cloud.validation import validate_endpoint, validate_reserve, validate_token

LOGGER = logging.getLogger("hetzner_cloud")

_MAX_BODY_BYTES = 32 * 2**20
_MASK = b"**********"
_MIN_TOKEN_LENGTH = 8  # a shorter one is none of Hetzner's, and may be a word of the answer
_SAID_FROM_SECONDS = 5.0
_TRUST = ". If a private authority signs for it, name the authority's certificates with SSL_CERT_FILE"
_SAID_AGAIN_AFTER_SECONDS = 60.0

Query = Sequence[tuple[str, str | int]]


class Connection:
    """Sends requests to one project: few at once, no faster than its request budget allows, one try each."""

    def __init__(
        self,
        token: SecretStr,
        endpoint: str,
        *,
        rate_limit_reserve: float,
        owner: str,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._endpoint = validate_endpoint(endpoint)
        self._host = urlsplit(self._endpoint).netloc
        self._owner = owner
        self._token = token
        self._settings = settings
        self._rate_limit = RateLimit(validate_reserve(rate_limit_reserve))
        self._clock = clock
        self._sleep = sleep
        self._places = CapacityLimiter(settings.max_concurrent_requests)
        self._in_flight = 0
        self._said_at = float("-inf")
        self._http = httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {validate_token(token.get_secret_value())}",
                "User-Agent": f"hetzner-snapshot-protection/{__version__}",
            },
            timeout=settings.request_timeout_seconds,
            limits=httpx.Limits(max_connections=settings.max_concurrent_requests, keepalive_expiry=30),
            verify=_tls_context(),
            follow_redirects=False,  # the token goes to the endpoint and nowhere else
            trust_env=urlsplit(self._endpoint).scheme == "https",  # this machine is not behind a proxy
        )

    def share(self, most: int) -> None:
        """Have no more than so many requests in flight, of those that the settings allow; at least one."""
        self._places.total_tokens = max(1, min(most, self._settings.max_concurrent_requests))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        json: dict[str, bool] | None = None,
        pre_send_check: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send a request once its turn has come; a 429 is met by waiting as the bucket refills.

        Args:
            method: The HTTP method.
            path: What follows the endpoint, from its slash on.
            query: Parameters; a name may repeat.
            json: The body.
            pre_send_check: Called when the turn has come; may raise to send nothing.

        Raises:
            ApiError: The API answered with an error; RateLimitError only after the settings' patience.
            TransportError: No answer came, or not a whole one.
        """
        name = f"{method} {path}"
        give_up_at: float | None = None
        while True:
            async with self._places:
                await self._wait_for_turn()
                pre_send_check()
                sent_at = self._clock()
                response, body = await self._send(method, path, name, query, json)
            correlation_id = self._redact_text(response.headers.get("X-Correlation-Id", "")) or None
            answer = Answer(name, response.status_code, body, correlation_id)
            if response.is_success:
                return answer
            if give_up_at is None:
                give_up_at = sent_at + self._settings.rate_limit_timeout_seconds
            if response.status_code != 429 or self._clock() >= give_up_at:
                raise parse_error(answer, self._owner)
            self._hold_back(response, name, sent_at)

    async def _wait_for_turn(self) -> None:
        while True:
            claimed_at = self._clock()
            pause = self._rate_limit.take_slot(claimed_at)
            if pause <= 0:
                return
            self._say_pause(pause)
            await self._sleep(pause)
            if not self._rate_limit.rate_limited_since(claimed_at):
                return

    def _say_pause(self, pause: float) -> None:
        if pause >= _SAID_FROM_SECONDS and self._clock() - self._said_at >= _SAID_AGAIN_AFTER_SECONDS:
            self._said_at = self._clock()
            left = self._rate_limit.remaining(self._clock())
            LOGGER.info(
                "Rate limit, %s: about %d requests left, the rest is kept for the project's other users; "
                "going on at %.2f requests a second, the next one in %.0f seconds.",
                *(self._owner, max(0, left or 0), self._rate_limit.refill, pause),
            )

    def _hold_back(self, response: httpx.Response, name: str, sent_at: float) -> None:
        now = self._clock()
        pause = self._rate_limit.on_rate_limited(response.headers, now=now, sent_at=sent_at)
        if now - self._said_at >= _SAID_FROM_SECONDS:
            self._said_at = now
            LOGGER.info(
                "Rate limit, %s: %s was answered with 429, the request budget is used up; "
                "going on in %.1f seconds, as it refills.",
                *(self._owner, name, pause),
            )

    async def _send(
        self, method: str, path: str, name: str, query: Query, json: dict[str, bool] | None
    ) -> tuple[httpx.Response, bytes]:
        seconds = self._settings.request_timeout_seconds
        self._in_flight += 1
        try:
            async with asyncio.timeout(seconds):  # httpx bounds each read, not their sum
                response, body = await self._stream(method, path, name, query, json)
        except (TimeoutError, httpx.TimeoutException):
            fault = TransportError(f"{name}: no answer from {self._host} in {seconds:g} s", "timeout")
        except httpx.ConnectError as error:
            text = f"{name}: {self._host} cannot be reached: {self._redact_text(error)}"
            advice = _TRUST if "CERTIFICATE_VERIFY_FAILED" in text else ""
            fault = TransportError(text + advice, "unreachable")
        except httpx.RequestError as error:
            told = self._redact_text(error) or type(error).__name__
            text = f"{name}: the connection to {self._host} broke: {told}"
            fault = TransportError(text, "connection_lost")
        else:
            self._update_rate_limit(response)
            return response, body
        finally:
            self._in_flight -= 1
        raise fault  # outside of the handler: httpx's error, which has the request with its token, is let go

    def _update_rate_limit(self, response: httpx.Response) -> None:
        others = self._in_flight - 1
        self._rate_limit.update(response.headers, now=self._clock(), wall=time.time(), in_flight=others)
        if response.status_code != 429:
            self._rate_limit.on_success()

    async def _stream(
        self, method: str, path: str, name: str, query: Query, json: dict[str, bool] | None
    ) -> tuple[httpx.Response, bytes]:
        url = self._endpoint + path
        async with self._http.stream(method, url, params=list(query) or None, json=json) as response:
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > _MAX_BODY_BYTES:
                    text = f"{name}: the answer of {self._host} has more than {_MAX_BODY_BYTES} bytes"
                    raise InvalidResponseError(text, "invalid_response", response.status_code)
        return response, self._redact(bytes(body))

    def _redact_text(self, text: object) -> str:
        return printable(self._redact(str(text).encode()).decode())

    def _redact(self, told: bytes) -> bytes:
        """What the other side says, or a fault that quotes it, can send back the token."""
        token = self._token.get_secret_value().encode()
        return told.replace(token, _MASK) if len(token) >= _MIN_TOKEN_LENGTH else told


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Making one takes 30 ms; one is enough. SSL_CERT_FILE names a private authority's file."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        text = f"The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {error}"
        raise InvalidArgumentError(text) from None
