"""Time that passes only when all that runs sleeps."""

import asyncio


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


class Clock:
    """A time of its own, which moves on when all that runs sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self._due: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now + seconds
        self._due.append(until)
        while self.now < until:
            await settled()
            if until == min(self._due):
                self.now = max(self.now, until)
        self._due.remove(until)
