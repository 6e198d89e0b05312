"""When the next request may be sent, as a function of what the responses' headers report.

Above the reserve requests are sent at once; at or below it no faster than the project's bucket refills:
slower, never stopped. 429 responses hold all of them back.

The headers are hints: however slowly they say that the bucket refills, one request a minute is sent. It costs
a 429 at most, and its response corrects the estimate.
"""

from collections.abc import Mapping

from hetzner_cloud.backoff import Backoff
from hetzner_cloud.rate_limit_headers import RateLimitHeaders
from hetzner_cloud.token_bucket import TokenBucket

_MAX_GAP_SECONDS = 60.0  # as long as the longest backoff
_MAX_LATENESS_SECONDS = 0.5  # a busy machine wakes up late: the slots after a late one are not moved, too


class RateLimit:
    """The rate limit of a project.

    `now` is a monotonic time in seconds everywhere.
    """

    def __init__(self, reserve: float) -> None:
        """Leave `reserve`, a share of the limit from 0 to below 1, to the project's other users."""
        self._reserve = reserve
        self._bucket = TokenBucket()
        self._backoff = Backoff()
        self._next_slot = 0.0
        self._last_slot = 0.0

    @property
    def refill(self) -> float:
        """Requests a second that flow back into the bucket."""
        return self._bucket.refill

    def remaining(self, now: float) -> float | None:
        """Estimate how many requests are in the bucket, None before the first response."""
        return self._bucket.remaining(now)

    def gap(self, now: float) -> float:
        """Return how many seconds lie between two requests from now on, 0 if there is no need to wait."""
        remaining = self._bucket.remaining(now)
        if remaining is None:
            return self._bounded_gap(self.refill) if self._backoff.count else 0.0
        is_paced = remaining <= self._reserved
        return self._bounded_gap(self.refill * self._own_share(remaining)) if is_paced else 0.0

    def take_slot(self, now: float, *, max_delay: float = float("inf")) -> float:
        """Claim the next request's slot; returns the seconds to wait until then, `max_delay` at most."""
        is_late = now - _MAX_LATENESS_SECONDS < self._next_slot < now and not self.is_held(now)
        due = self._next_slot if is_late else max(now, self._next_slot, self._backoff.held_until)
        delay = min(max(0.0, due - now), max(0.0, max_delay))
        self._last_slot = min(due, now + delay)
        if gap := self.gap(now):
            self._next_slot = self._last_slot + gap
        self._bucket = self._bucket.take(now)
        return delay

    def update(self, headers: Mapping[str, str], *, now: float, in_flight: int) -> None:
        """Read a response's headers, which may not count the other requests in flight yet."""
        reported = RateLimitHeaders.parse(headers)
        if reported.limit is None or reported.remaining is None:
            return
        self._bucket = self._bucket.update(reported, now=now, in_flight=in_flight)
        # A slot that was computed from headers which are corrected now holds nothing back; a 429 still does.
        gap = 0.0 if self._bucket.level > self._reserved else self.gap(now)
        self._next_slot = min(self._next_slot, max(now, self._last_slot) + gap if gap else now)

    def on_rate_limited(self, headers: Mapping[str, str], *, now: float, sent_at: float) -> float:
        """Read a 429; returns the seconds to wait before anything is sent again."""
        concurrent = self._backoff.is_concurrent(sent_at)
        backoff = self._backoff.on_rate_limited(now=now, sent_at=sent_at)
        retry_after_seconds = RateLimitHeaders.parse(headers).retry_after_seconds or 0.0
        resume_at = now + backoff.delay(self.refill, retry_after_seconds)
        self._backoff = backoff.hold_until(resume_at)
        self._bucket = self._bucket.drain(now)
        # A first 429 voids the slots claimed before it; concurrent ones queue up after it.
        self._next_slot = max(self._next_slot, resume_at) if concurrent else resume_at
        return self._backoff.held_until - now

    def is_held(self, now: float) -> bool:
        """Return whether a 429 holds all requests back."""
        return self._backoff.held_until > now

    def rate_limited_since(self, when: float) -> bool:
        """Return whether a 429 came after a slot was claimed: then the slot is void."""
        return self._backoff.rate_limited_at > when

    def on_success(self) -> None:
        """Read a response that was no 429."""
        self._backoff = self._backoff.on_success()

    @property
    def _reserved(self) -> float:
        return self._reserve * (self._bucket.limit or 0)

    @staticmethod
    def _bounded_gap(requests_per_second: float) -> float:
        return min(_MAX_GAP_SECONDS, 1 / requests_per_second)

    def _own_share(self, remaining: float) -> float:
        """Return our share of the refill: a shrinking reserve means that others draw on it too."""
        return min(1.0, max(0.5, remaining / self._reserved)) if self._reserved else 1.0
