"""How long 429 responses hold all requests of a project back: doubling, within bounds."""

from dataclasses import dataclass, replace

_MAX_BACKOFF_SECONDS = 60.0
_MAX_RETRY_AFTER_SECONDS = 300.0
_MAX_DOUBLINGS = 10


@dataclass(frozen=True)
class Backoff:
    """What 429 responses have caused so far; each change returns a new one. Times are monotonic seconds.

    Attributes:
        count: How many 429 responses there were since the last success; concurrent ones count as one.
        rate_limited_at: When the last one came.
        held_until: Until when nothing is sent.
    """

    count: int = 0
    rate_limited_at: float = float("-inf")
    held_until: float = 0.0

    def is_concurrent(self, sent_at: float) -> bool:
        """Return whether a request was in flight already when the last 429 came."""
        return sent_at <= self.rate_limited_at

    def on_rate_limited(self, *, now: float, sent_at: float) -> "Backoff":
        """Count a 429."""
        if self.is_concurrent(sent_at):
            return self
        return replace(self, count=self.count + 1, rate_limited_at=now)

    def on_success(self) -> "Backoff":
        """Start again from the shortest delay."""
        return replace(self, count=0) if self.count else self

    def delay(self, refill: float, retry_after_seconds: float) -> float:
        """Return for how many seconds nothing is sent; `refill` is the bucket's, in requests a second."""
        own = min(_MAX_BACKOFF_SECONDS, 2.0 ** min(self.count - 1, _MAX_DOUBLINGS) / refill)
        return max(own, min(_MAX_RETRY_AFTER_SECONDS, retry_after_seconds))

    def hold_until(self, time: float) -> "Backoff":
        """Hold requests back until then; a shorter delay never replaces a longer one."""
        return replace(self, held_until=max(self.held_until, time))
