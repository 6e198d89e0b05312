"""Waiting for the rate limit: sleep until the next slot, and log why."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.rate_limit import RateLimit

LOGGER = logging.getLogger(__name__)

_LOGGED_FROM_SECONDS = 5.0
_LOGGED_AGAIN_AFTER_SECONDS = 60.0


class Throttle:
    """Holds a project's requests back as long as its rate limit requires."""

    def __init__(
        self,
        config: ClientConfig,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._label = config.credentials_label
        self._rate_limit = RateLimit(config.rate_limit_reserve)
        self._clock = clock
        self._sleep = sleep
        self._logged_at = float("-inf")

    async def wait_for_turn(self) -> None:
        """Sleep until the next request may be sent; a 429 in between voids the turn."""
        while True:
            claimed_at = self._clock()
            delay = self._rate_limit.take_slot(claimed_at)
            if delay <= 0:
                return
            self._log_delay(delay)
            await self._sleep(delay)
            if not self._rate_limit.rate_limited_since(claimed_at):
                return

    def update(self, status_code: int, headers: Mapping[str, str], *, in_flight: int) -> None:
        """Read a response, which may not count the other requests in flight yet."""
        self._rate_limit.update(headers, now=self._clock(), wall=time.time(), in_flight=in_flight)
        if status_code != 429:
            self._rate_limit.on_success()

    def on_rate_limited(self, headers: Mapping[str, str], request: str, *, sent_at: float) -> None:
        """Read a 429: all requests wait as the bucket refills."""
        now = self._clock()
        delay = self._rate_limit.on_rate_limited(headers, now=now, sent_at=sent_at)
        if now - self._logged_at >= _LOGGED_FROM_SECONDS:
            self._logged_at = now
            LOGGER.info(
                "Rate limit, %s: %s was answered with 429, the request budget is used up; "
                "going on in %.1f seconds, as it refills.",
                *(self._label, request, delay),
            )

    def _log_delay(self, delay: float) -> None:
        now = self._clock()
        if delay >= _LOGGED_FROM_SECONDS and now - self._logged_at >= _LOGGED_AGAIN_AFTER_SECONDS:
            self._logged_at = now
            remaining = self._rate_limit.remaining(now)
            LOGGER.info(
                "Rate limit, %s: about %d requests left, the rest is kept for the project's other users; "
                "going on at %.2f requests a second, the next one in %.0f seconds.",
                *(self._label, max(0, remaining or 0), self._rate_limit.refill, delay),
            )
