"""Reading something once for all parts of a run that want it at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class SharedRead(Generic[T]):
    """Reads something as it is now: what begins to be read after it was asked for need not be read again."""

    read: Callable[[], Awaitable[T]]
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _began: float = -inf
    _results: tuple[T, ...] = ()
    _error: Exception | None = None

    async def __call__(self) -> T:
        """Return what was read, or raise what reading raised: the same to all who have asked for it."""
        called = monotonic()
        async with self._lock:
            if self._began <= called:
                await self._read_now()
            if self._error:
                raise self._error
            [result] = self._results
        return result

    async def _read_now(self) -> None:
        began, results, error = monotonic(), tuple[T, ...](), None
        try:
            results = (await self.read(),)
        except Exception as failed:  # noqa: BLE001 - raised to all who wait for it
            error = failed
        self._began, self._results, self._error = began, results, error  # unless it was cancelled
