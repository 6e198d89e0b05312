"""The headers by which a response reports the state of the rate limit; invalid ones count as absent.

https://docs.hetzner.cloud/reference/cloud#rate-limiting
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Self


@dataclass(frozen=True)
class RateLimitHeaders:
    """Their values; the times are UNIX times.

    Attributes:
        limit: How many requests the bucket holds.
        remaining: How many are in it.
        reset: When it will be full again.
        server_time: When the response was made.
        retry_after_seconds: After which delay to repeat the request; 0 if there is none.
    """

    limit: float | None
    remaining: float | None
    reset: float | None
    server_time: float | None
    retry_after_seconds: float

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> Self:
        """Parse what is valid."""
        return cls(
            _number(headers, "RateLimit-Limit") or None,
            _number(headers, "RateLimit-Remaining"),
            _number(headers, "RateLimit-Reset"),
            _time(headers, "Date"),
            _retry_after(headers),
        )


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return seconds; the header may have those or a date: a proxy may send either."""
    until, server_time = _time(headers, "Retry-After"), _time(headers, "Date")
    if until is None or server_time is None:
        return _number(headers, "Retry-After") or 0.0
    return max(0.0, until - server_time)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(headers.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _time(headers: Mapping[str, str], name: str) -> float | None:
    try:
        return parsedate_to_datetime(headers.get(name, "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
