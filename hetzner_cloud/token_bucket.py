"""A project's request budget: a bucket that holds up to Limit requests and refills steadily.

It refills at (Limit - Remaining) / (Reset - Date) a second, where Reset is when it will be full again. Both
are times of the server's clock: a local clock that is wrong, or is set during a run, changes nothing.

https://docs.hetzner.cloud/reference/cloud#rate-limiting
"""

from dataclasses import dataclass, replace

from hetzner_cloud.rate_limit_headers import RateLimitHeaders

_DEFAULT_REFILL = 1.0  # 3600 an hour: what a project has unless Hetzner raised it
_MIN_WINDOW_SECONDS = 5.0  # Reset is in whole seconds: over a shorter time the quotient is noise
_MAX_WINDOW_SECONDS = 86_400.0  # a bucket refills in an hour: a Reset days ahead is invalid


@dataclass(frozen=True)
class TokenBucket:
    """What is known of the bucket; each change returns a new one.

    Attributes:
        limit: How many requests it holds, None before the first response.
        level: How many were in it at `measured_at`, a monotonic time in seconds.
        measured_refill: Requests a second, as measured last.
        min_refill: The least that windows too short to measure allow.
    """

    limit: float | None = None
    level: float = 0.0
    measured_at: float = 0.0
    measured_refill: float | None = None
    min_refill: float = 0.0

    @property
    def refill(self) -> float:
        """Requests a second that flow back."""
        if self.measured_refill is not None:
            return self.measured_refill
        return max(self.limit / 3600, self.min_refill) if self.limit else _DEFAULT_REFILL

    def remaining(self, now: float) -> float | None:
        """Estimate how many requests are in it, None before the first response."""
        if self.limit is None:
            return None
        return min(self.limit, self.level + self.refill * (now - self.measured_at))

    def take(self, now: float) -> "TokenBucket":
        """Return the bucket without the request that is sent next."""
        remaining = self.remaining(now)
        return self if remaining is None else replace(self, level=remaining - 1, measured_at=now)

    def drain(self, now: float) -> "TokenBucket":
        """Return the bucket as a 429 proves it: empty, or in debt."""
        return self if self.limit is None else replace(self, level=min(self.level, 0.0), measured_at=now)

    def update(self, headers: RateLimitHeaders, *, now: float, in_flight: int) -> "TokenBucket":
        """Return the bucket as a response's headers report it, less the requests in flight."""
        if headers.limit is None or headers.remaining is None:
            return self
        bucket = replace(self, limit=headers.limit, level=headers.remaining - in_flight, measured_at=now)
        if headers.reset is None or headers.server_time is None:
            return bucket
        window = headers.reset - headers.server_time
        return bucket._measure(headers.limit, headers.remaining, window)  # noqa: SLF001 - of this class

    def _measure(self, limit: float, remaining: float, window: float) -> "TokenBucket":
        """Measure the refill, given that the bucket will be full after `window` seconds."""
        missing = limit - remaining
        if _MIN_WINDOW_SECONDS <= window <= _MAX_WINDOW_SECONDS and missing > 0:
            quotient = missing / window
            # It is imprecise for a bucket that is nearly full, and useless if Reset is always an hour off.
            refill = quotient if remaining <= limit / 2 else max(quotient, limit / 3600)
            return replace(self, measured_refill=refill)
        if 0 <= window < _MIN_WINDOW_SECONDS:  # a small bucket: two roundings make it two seconds at most
            return replace(self, min_refill=max(self.min_refill, missing / (window + 2)))
        return self
