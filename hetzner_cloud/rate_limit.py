"""When the next request may be sent, as a function of what the responses' headers report.

Above the reserve requests are sent at once; at or below it no faster than the project's bucket refills:
slower, never stopped. 429 responses hold all of them back.
"""

from collections.abc import Mapping

from hetzner_cloud.backoff import Backoff
from hetzner_cloud.rate_limit_headers import RateLimitHeaders
from hetzner_cloud.token_bucket import TokenBucket


class RateLimit:
    """The rate limit of a project.

    `now` is a monotonic time in seconds everywhere; `wall` is UNIX time.
    """

    def __init__(self, reserve: float) -> None:
        """Leave `reserve`, a share of the limit from 0 to below 1, to the project's other users."""
        self._reserve = reserve
        self._bucket = TokenBucket()
        self._backoff = Backoff()
        self._next_slot = 0.0

    @property
    def refill(self) -> float:
        """Requests a second that flow back into the bucket."""
        return self._bucket.refill

    def remaining(self, now: float) -> float | None:
        """Estimate how many requests are in the bucket, None before the first response."""
        return self._bucket.remaining(now)

    def take_slot(self, now: float) -> float:
        """Claim the next request's slot; returns the seconds to wait before it is sent."""
        slot = max(now, self._next_slot, self._backoff.held_until)
        if pace := self._pace(now):
            self._next_slot = slot + 1 / pace
        self._bucket = self._bucket.take(now)
        return slot - now

    def update(self, headers: Mapping[str, str], *, now: float, wall: float, in_flight: int) -> None:
        """Read a response's headers, which may not count the other requests in flight yet."""
        reported = RateLimitHeaders.parse(headers)
        if reported.limit is None or reported.remaining is None:
            return
        self._bucket = self._bucket.update(reported, now=now, wall=wall, in_flight=in_flight)
        if self._bucket.level > self._reserved:
            self._next_slot = now  # there is no need to pace (any more); a 429's backoff stays

    def on_rate_limited(self, headers: Mapping[str, str], *, now: float, sent_at: float) -> float:
        """Read a 429; returns the seconds to wait before anything is sent again."""
        concurrent = self._backoff.is_concurrent(sent_at)
        backoff = self._backoff.on_rate_limited(now=now, sent_at=sent_at)
        resume_at = now + backoff.delay(self.refill, RateLimitHeaders.parse(headers).retry_after_seconds)
        self._backoff = backoff.hold_until(resume_at)
        self._bucket = self._bucket.drain(now)
        # A first 429 voids the slots claimed before it; concurrent ones queue up after it.
        self._next_slot = max(self._next_slot, resume_at) if concurrent else resume_at
        return self._backoff.held_until - now

    def rate_limited_since(self, when: float) -> bool:
        """Return whether a 429 came after a slot was claimed: then the slot is void."""
        return self._backoff.rate_limited_at > when

    def on_success(self) -> None:
        """Read a response that was no 429."""
        self._backoff = self._backoff.on_success()

    @property
    def _reserved(self) -> float:
        return self._reserve * (self._bucket.limit or 0)

    def _pace(self, now: float) -> float | None:
        """Return how many requests a second may be sent from now on, None for any number."""
        remaining = self._bucket.remaining(now)
        if remaining is None:
            return self.refill if self._backoff.count else None
        return self.refill * self._own_share(remaining) if remaining <= self._reserved else None

    def _own_share(self, remaining: float) -> float:
        """Return our share of the refill: a shrinking reserve means that others draw on it too."""
        return min(1.0, max(0.5, remaining / self._reserved)) if self._reserved else 1.0
