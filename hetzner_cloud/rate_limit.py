"""Flow control: how fast requests may go out, as a function of what the answers' headers say.

The bucket is the project's: it holds up to Limit requests and refills steadily, at
(Limit - Remaining) / (Reset - now) a second, where Reset is when it will be full again. Above the reserve
requests go out at once; at or below it they go out no faster than the bucket refills: slower, never stopped.

https://docs.hetzner.cloud/reference/cloud#rate-limiting
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_DEFAULT_REFILL = 1.0  # 3600 an hour: what a project has unless Hetzner raised it
_MIN_WINDOW_SECONDS = 5.0  # Reset is in whole seconds: over a shorter time the quotient is noise
_MAX_WINDOW_SECONDS = 86_400.0  # a bucket refills in an hour: a Reset days ahead is none
_MAX_BACK_OFF_SECONDS = 60.0
_MAX_RETRY_AFTER_SECONDS = 300.0


class RateLimit:
    """What is known of a project's bucket.

    `now` is a monotonic time in seconds everywhere; `wall` is UNIX time.
    """

    def __init__(self, reserve: float) -> None:
        """Keep `reserve`, a share of the limit from 0 to below 1, for the project's other users."""
        self._reserve = reserve
        self._limit: float | None = None
        self._remaining = 0.0
        self._seen_at = 0.0
        self._refill: float | None = None
        self._least_refill = 0.0
        self._next_slot = 0.0
        self._held_until = 0.0
        self._refusals = 0
        self._refused_at = float("-inf")

    @property
    def refill(self) -> float:
        """Requests a second that flow back into the bucket."""
        if self._refill is not None:
            return self._refill
        return max(self._limit / 3600, self._least_refill) if self._limit else _DEFAULT_REFILL

    def remaining(self, now: float) -> float | None:
        """Estimate what is in the bucket, None before the first answer."""
        if self._limit is None:
            return None
        return min(self._limit, self._remaining + self.refill * (now - self._seen_at))

    @property
    def _reserved(self) -> float:
        return self._reserve * (self._limit or 0)

    def _own_share(self, remaining: float) -> float:
        """Others draw on a reserve that shrinks: leave them up to half of what flows back."""
        return min(1.0, max(0.5, remaining / self._reserved)) if self._reserved else 1.0

    def take_slot(self, now: float) -> float:
        """Claim the next request's place; returns the seconds to wait before it is sent."""
        remaining = self.remaining(now)
        slot = max(now, self._next_slot, self._held_until)
        if remaining is not None:
            if remaining <= self._reserved:
                self._next_slot = slot + 1 / (self.refill * self._own_share(remaining))
            self._remaining, self._seen_at = remaining - 1, now
        elif self._refusals:
            self._next_slot = slot + 1 / self.refill
        return slot - now

    def update(self, headers: Mapping[str, str], *, now: float, wall: float, in_flight: int) -> None:
        """Take in an answer's headers; `in_flight` requests may not be pluralize in them yet."""
        limit, remaining = _number(headers, "RateLimit-Limit"), _number(headers, "RateLimit-Remaining")
        if limit is None or remaining is None or limit <= 0:
            return
        self._limit, self._remaining, self._seen_at = limit, remaining - in_flight, now
        if self._remaining > self._reserved:
            self._next_slot = now  # there is no need to pace (any more); what a 429 holds back stays so
        reset = _number(headers, "RateLimit-Reset")
        if reset is None:
            return
        server_time = _time(headers, "Date")  # as Reset is: a wrong clock on this side does no harm
        window = reset - (wall if server_time is None else server_time)
        if _MIN_WINDOW_SECONDS <= window <= _MAX_WINDOW_SECONDS and remaining < limit:
            quotient = (limit - remaining) / window
            # Of a bucket that is nearly full it says little, and nothing if Reset is always an hour off.
            self._refill = quotient if remaining <= limit / 2 else max(quotient, limit / 3600)
        elif 0 <= window < _MIN_WINDOW_SECONDS:  # a small bucket: two roundings make it two seconds at most
            self._least_refill = max(self._least_refill, (limit - remaining) / (window + 2))

    def on_rate_limited(self, headers: Mapping[str, str], *, now: float, sent_at: float) -> float:
        """Take in a 429; returns the seconds to wait before anything is sent again.

        Refusals of requests that were under way together count as one.
        """
        together = sent_at <= self._refused_at
        if not together:
            self._refusals += 1
            self._refused_at = now
        back_off = min(_MAX_BACK_OFF_SECONDS, 2 ** min(self._refusals - 1, 10) / self.refill)
        asked = min(_MAX_RETRY_AFTER_SECONDS, _retry_after(headers))
        if self._limit is not None:
            self._remaining, self._seen_at = min(self._remaining, 0.0), now
        again = now + max(back_off, asked)
        self._held_until = max(self._held_until, again)
        self._next_slot = max(self._next_slot, again) if together else again  # claims before are void
        return self._held_until - now

    def rate_limited_since(self, when: float) -> bool:
        """Tell whether a 429 came after a slot was claimed: then the slot is worth nothing."""
        return self._refused_at > when

    def on_success(self) -> None:
        """Take in an answer that was no 429."""
        self._refusals = 0


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(headers.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, or a date: a proxy may send either."""
    until, server_time = _time(headers, "Retry-After"), _time(headers, "Date")
    if until is None or server_time is None:
        return _number(headers, "Retry-After") or 0.0
    return max(0.0, until - server_time)


def _time(headers: Mapping[str, str], name: str) -> float | None:
    try:
        return parsedate_to_datetime(headers.get(name, "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
