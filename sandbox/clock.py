"""Time as the sandbox sees it: UNIX seconds, from a clock that tests can move."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, now: float = 1_780_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Advance by some seconds."""
        self.now += seconds


def rfc3339(seconds: float) -> str:
    """Write UNIX seconds as the API writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
