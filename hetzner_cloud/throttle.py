"""Waiting before a request is sent: for the rate limit, and for the delay of a Retry-After."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import ApiError, RateLimitError
from hetzner_cloud.rate_limit import RateLimit
from hetzner_cloud.settings import Settings
from hetzner_cloud.throttle_log import ThrottleLog


class Throttle:
    """Holds a project's requests back as long as it must, and each of them no longer than the settings allow.

    Times are monotonic seconds.
    """

    def __init__(
        self,
        config: ClientConfig,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._rate_limit = RateLimit(config.rate_limit_reserve)
        self._timeout = settings.rate_limit_timeout_seconds
        self._max_retry_after = settings.retry_max_delay_seconds
        self._clock = clock
        self._sleep = sleep
        self._log = ThrottleLog(config.credentials_label, clock)
        self._turns = asyncio.Lock()  # first come, first served; only the first one has claimed a slot
        self._unavailable_until = float("-inf")
        self._limited_since: float | None = None  # with no response other than 429
        self._limited_at = float("-inf")
        self._gave_up_at = float("-inf")
        self._gave_up: RateLimitError | None = None

    async def wait_for_turn(self, request: str, *, made_at: float) -> None:
        """Sleep until the next request may be sent; a 429 in between voids the turn.

        After the settings' timeout it is sent all the same: what its response reports is then known.

        Raises:
            RateLimitError: Another request was given up since this one was made.
        """
        queued_at = self._clock()
        async with self._turns:
            give_up_at = self._clock() + self._timeout
            is_void = True
            while is_void:
                self._raise_if_given_up(request, made_at)
                claimed_at = self._clock()
                delay = self._rate_limit.take_slot(claimed_at, max_delay=give_up_at - claimed_at)
                if delay > 0:
                    self._log_delay(delay, waited=claimed_at - queued_at)
                    await self._sleep(delay)
                is_void = self._rate_limit.rate_limited_since(claimed_at)

    async def wait_while_unavailable(self, held: float = 0.0) -> float:
        """Sleep as long as a Retry-After asks for.

        Args:
            held: For how many seconds the request has been held by this before; each is held once, for no
                longer than the settings allow, however many responses ask for it.

        Returns:
            For how long it has been held in all.
        """
        while (delay := self.unavailable_seconds(held)) > 0:
            await self._sleep(delay)
            held += delay
        return held

    @property
    def is_holding(self) -> bool:
        """Whether responses have asked for a delay that is not over."""
        return self.unavailable_seconds(0.0) > 0 or self._rate_limit.is_held(self._clock())

    def unavailable_seconds(self, held: float) -> float:
        """Return how much longer a request is held that has been held for so many seconds."""
        return min(self._unavailable_until - self._clock(), self._max_retry_after - held)

    def update(self, status_code: int, headers: Mapping[str, str], *, in_flight: int) -> None:
        """Read a response, which may not count the other requests in flight yet."""
        self._rate_limit.update(headers, now=self._clock(), in_flight=in_flight)
        if status_code != 429:
            self._rate_limit.on_success()
            self._limited_since = self._gave_up = None

    def on_rate_limited(self, headers: Mapping[str, str], request: str, *, sent_at: float) -> None:
        """Read a 429: all requests wait as the bucket refills."""
        if self._limited_since is None or sent_at - self._limited_at > self._timeout:  # there was a break
            self._limited_since = sent_at
        self._limited_at = sent_at
        delay = self._rate_limit.on_rate_limited(headers, now=self._clock(), sent_at=sent_at)
        self._log.rate_limited(request, delay)

    def is_patience_over(self, limited_since: float) -> bool:
        """Return whether a request that has been rate limited since then is to be given up.

        It is, too, if the project has been for so long, with no other response than 429: or a run of
        thousands of requests would wait for each of them.
        """
        known = [since for since in (limited_since, self._limited_since) if since is not None]
        return self._clock() >= min(known) + self._timeout

    def give_up(self, error: RateLimitError) -> RateLimitError:
        """Give up a request, and with it all that wait for their turn now; returns the error."""
        self._gave_up, self._gave_up_at = error, self._clock()
        return error

    def on_unavailable(self, error: ApiError, request: str) -> None:
        """Read a transient error: if it has a Retry-After, all requests are held."""
        if error.retry_after_seconds:
            delay = min(error.retry_after_seconds, self._max_retry_after)
            self._unavailable_until = max(self._unavailable_until, self._clock() + delay)
            self._log.unavailable(request, error.status_code, error.retry_after_seconds, delay)

    def _raise_if_given_up(self, request: str, made_at: float) -> None:
        if self._gave_up and self._gave_up_at > made_at:
            given_up = self._gave_up
            message = f"{request} was not sent: {given_up.message}"
            raise RateLimitError(message, given_up.code, given_up.status_code, given_up.correlation_id)

    def _log_delay(self, delay: float, *, waited: float) -> None:
        now = self._clock()
        if not self._rate_limit.is_held(now):
            remaining = self._rate_limit.remaining(now) or 0.0
            pace = 1 / (self._rate_limit.gap(now) or delay)
            self._log.throttled(delay, waited=waited, remaining=remaining, requests_per_second=pace)
