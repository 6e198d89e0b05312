"""The one place through which every request goes: connections, concurrency, rate limit, bounded reading."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
from anyio import CapacityLimiter

from hetzner_cloud.body_reader import UnusableBodyError, read_body
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.connection_errors import ConnectionErrors
from hetzner_cloud.json_body import JsonBody, parse_body
from hetzner_cloud.library_logs import mask_in_library_logs
from hetzner_cloud.proxies import ProxyRoute, find_proxy
from hetzner_cloud.redaction import Redactor
from hetzner_cloud.rejections import given_up, raise_if_html, rejection
from hetzner_cloud.requests import ApiRequest
from hetzner_cloud.responses import ApiResponse
from hetzner_cloud.retry import is_transient
from hetzner_cloud.settings import Settings
from hetzner_cloud.throttle import Throttle
from hetzner_cloud.tls import tls_context


class Transport:
    """Sends requests to one project: few at once, no faster than its request budget allows, one try each."""

    def __init__(
        self,
        config: ClientConfig,
        settings: Settings,
        *,
        throttle: Throttle | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._host = urlsplit(config.endpoint).netloc
        self._settings = settings
        self._clock = clock
        self._throttle = throttle or Throttle(config, settings, clock=clock, sleep=sleep)
        self._limiter = CapacityLimiter(settings.max_concurrent_requests)
        self._in_flight = 0
        self._redactor = Redactor(config.token)
        mask_in_library_logs(self._redactor)
        route = find_proxy(config.endpoint)
        self._http = _http_client(config, settings, route)
        self._connection_errors = ConnectionErrors(config, settings, route, self._redactor)

    def limit_concurrency(self, max_requests: int) -> None:
        """Have no more than so many requests in flight, of those that the settings allow; at least one."""
        self._limiter.total_tokens = max(1, min(max_requests, self._settings.max_concurrent_requests))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(
        self, request: ApiRequest, *, pre_send_check: Callable[[], None] = lambda: None
    ) -> ApiResponse:
        """Send a request once its turn has come; after a 429 again as the bucket refills, if it may be.

        Args:
            request: The request.
            pre_send_check: Called when the turn has come; may raise to send nothing.

        Raises:
            ApiError: The API returned an error; RateLimitError only after the settings' timeout, or of a
                request that is sent once.
            TransportError: No response was received, or not a whole one.
        """
        made_at = self._clock()
        limited_since: float | None = None
        while True:
            sent_at, received, body = await self._send_in_turn(request, pre_send_check, made_at)
            response = self._response(request, received, body)
            if received.is_success:
                raise_if_html(response, received.headers, self._config)
                return response
            error = rejection(response, received.headers, self._config, self._settings)
            if received.status_code != 429:
                if is_transient(error):
                    self._throttle.on_unavailable(error, str(request))
                raise error
            limited_since = sent_at if limited_since is None else limited_since
            self._throttle.on_rate_limited(received.headers, str(request), sent_at=sent_at)
            if request.sent_once:
                raise error
            if self._throttle.is_patience_over(limited_since):
                raise self._throttle.give_up(given_up(error, received.headers, self._settings))

    async def _send_in_turn(
        self, request: ApiRequest, pre_send_check: Callable[[], None], made_at: float
    ) -> tuple[float, httpx.Response, JsonBody]:
        """Send it when a connection is free and the rate limit allows; also returns when that was."""
        held = 0.0
        while True:
            held = await self._throttle.wait_while_unavailable(held)  # and keep no connection from others
            async with self._limiter:
                if self._throttle.unavailable_seconds(held) > 0:
                    continue
                await self._throttle.wait_for_turn(str(request), made_at=made_at)
                pre_send_check()
                sent_at = self._clock()
                return sent_at, *await self._send(request)

    async def _send(self, request: ApiRequest) -> tuple[httpx.Response, JsonBody]:
        self._in_flight += 1
        try:
            async with asyncio.timeout(self._settings.request_timeout_seconds):  # httpx bounds each read
                received, body = await self._stream(request)
        except (TimeoutError, httpx.RequestError) as error:
            failure = self._connection_errors.describe(str(request), error)
        else:
            self._update_rate_limit(received)
            return received, body
        finally:
            self._in_flight -= 1
        raise failure  # outside of the handler: httpx's error holds the request with its token

    def _update_rate_limit(self, received: httpx.Response) -> None:
        others = self._in_flight - 1
        self._throttle.update(received.status_code, received.headers, in_flight=others)

    async def _stream(self, request: ApiRequest) -> tuple[httpx.Response, JsonBody]:
        url = self._config.endpoint + request.path
        async with self._http.stream(
            request.method, url, params=list(request.query) or None, json=request.json
        ) as received:
            return received, await self._read_body(received)

    async def _read_body(self, received: httpx.Response) -> JsonBody:
        try:
            body = await read_body(received)
        except UnusableBodyError as error:  # what its status says is known all the same
            return JsonBody(error=self._redactor.redact_text(error))
        return parse_body(body, self._redactor)

    def _response(self, request: ApiRequest, received: httpx.Response, body: JsonBody) -> ApiResponse:
        correlation_id = self._redactor.redact_text(received.headers.get("X-Correlation-Id", ""))
        return ApiResponse(str(request), received.status_code, body, correlation_id or None)


def _http_client(config: ClientConfig, settings: Settings, route: ProxyRoute | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers={
            "Authorization": f"Bearer {config.token.get_secret_value()}",
            "User-Agent": config.user_agent,
            "Accept-Encoding": "gzip",
        },
        timeout=settings.request_timeout_seconds,
        limits=httpx.Limits(max_connections=settings.max_concurrent_requests, keepalive_expiry=30),
        verify=tls_context(),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # none is kept or sent back
        follow_redirects=False,  # the token is sent to the endpoint and nowhere else
        proxy=route.proxy if route else None,
        trust_env=False,  # httpx would read the proxy's variables again, and fail without naming them
    )
