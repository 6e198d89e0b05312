"""The rate limit: a leaky bucket that every request takes one from and that refills steadily."""

import math
from email.utils import formatdate
from threading import Lock

from sandbox.clock import Clock


class Bucket:
    """A bucket of requests.

    Attributes:
        limit: How many it holds.
        refill_per_second: How many come back in a second.
    """

    def __init__(self, limit: int, refill_per_second: float, clock: Clock) -> None:
        self.limit = limit
        self.refill_per_second = refill_per_second
        self._clock = clock
        self._level = float(limit)
        self._at = clock()
        self._lock = Lock()

    @property
    def remaining(self) -> int:
        """How many requests it has left now."""
        with self._lock:
            return int(self._refilled(self._clock()))

    @remaining.setter
    def remaining(self, count: float) -> None:
        with self._lock:
            self._at, self._level = self._clock(), float(count)

    def take(self) -> bool:
        """Take one request, if there is one; an empty bucket is left as it is."""
        with self._lock:
            if self._refilled(self._clock()) < 1:
                return False
            self._level -= 1
            return True

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Describe it as every response does; Reset is when it is full again, rounded up to whole seconds.

        Date is now by the same clock: a client may only compare the two with each other.
        """
        with self._lock:
            now = self._clock()
            level = self._refilled(now)
            full = math.ceil(now + (self.limit - level) / self.refill_per_second)
        return [
            (b"ratelimit-limit", b"%d" % self.limit),
            (b"ratelimit-remaining", b"%d" % level),
            (b"ratelimit-reset", b"%d" % full),
            (b"date", formatdate(now, usegmt=True).encode()),
        ]

    def _refilled(self, now: float) -> float:
        self._level = min(self.limit, self._level + max(0.0, now - self._at) * self.refill_per_second)
        self._at = now
        return self._level
