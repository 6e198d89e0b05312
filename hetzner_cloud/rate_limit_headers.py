"""The headers by which a response reports the state of the rate limit; invalid ones count as absent.

https://docs.hetzner.cloud/reference/cloud#rate-limiting
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Self

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")  # float() also reads 1e400, 1_0, nan and other scripts
_MAX_LIMIT = 1e7
_MAX_DATE_LENGTH = 64


@dataclass(frozen=True)
class RateLimitHeaders:
    """Their values; the times are UNIX times.

    Attributes:
        limit: How many requests the bucket holds.
        remaining: How many are in it.
        reset: When it will be full again.
        server_time: When the response was made.
        retry_after_seconds: After which delay to repeat the request; None if there is none.
    """

    limit: float | None
    remaining: float | None
    reset: float | None
    server_time: float | None
    retry_after_seconds: float | None

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> Self:
        """Parse what is valid: a limit from 1 to 10 million, and no more remaining than that."""
        limit, remaining = _number(headers, "RateLimit-Limit"), _number(headers, "RateLimit-Remaining")
        return cls(
            limit if limit is not None and 1 <= limit <= _MAX_LIMIT else None,
            remaining if remaining is not None and remaining <= _MAX_LIMIT else None,
            _number(headers, "RateLimit-Reset"),
            _time(headers, "Date"),
            _retry_after(headers),
        )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return seconds; the header may have those or a date, which is compared with the server's own clock."""
    until, server_time = _time(headers, "Retry-After"), _time(headers, "Date")
    if until is None or server_time is None:
        return _number(headers, "Retry-After")
    return max(0.0, until - server_time)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "").strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _time(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "")
    if len(text) > _MAX_DATE_LENGTH:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
