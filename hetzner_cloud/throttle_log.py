"""What a throttle logs: why requests wait, once, and again every ten minutes for as long as they do."""

import logging
from collections.abc import Callable

LOGGER = logging.getLogger(__name__)

_LOGGED_FROM_SECONDS = 2.0
_LOGGED_AGAIN_AFTER_SECONDS = 600.0


class ThrottleLog:
    """The log lines about one project's requests; `label` names its credentials."""

    def __init__(self, label: str, clock: Callable[[], float]) -> None:
        self._label = label
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def throttled(self, delay: float, *, waited: float, remaining: float, requests_per_second: float) -> None:
        """Log that a request waits for its turn, if that takes long enough, with others' turns before it."""
        if waited + delay >= _LOGGED_FROM_SECONDS and self._is_due("throttled"):
            LOGGER.info(
                "Rate limited, %s: %d requests left; throttling to %.3g requests/s, next in %.3g s",
                *(self._label, max(0, remaining), requests_per_second, delay),
            )

    def rate_limited(self, request: str, delay: float) -> None:
        """Log a 429."""
        if self._is_due("rate limited"):
            LOGGER.info(
                "Rate limited, %s: %s returned 429, the request budget is used up; next in %.1f s",
                *(self._label, request, delay),
            )

    def unavailable(self, request: str, status: int | None, asked_for: float, delay: float) -> None:
        """Log that a Retry-After delays all requests."""
        if self._is_due("unavailable"):
            LOGGER.info(
                "Unavailable, %s: %s returned %s with a Retry-After of %.0f s; next in %.0f s",
                *(self._label, request, status, asked_for, delay),
            )

    def _is_due(self, state: str) -> bool:
        now = self._clock()
        if now - self._logged_at.get(state, float("-inf")) < _LOGGED_AGAIN_AFTER_SECONDS:
            return False
        self._logged_at[state] = now
        return True
