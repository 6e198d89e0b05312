"""The one policy for faults: which of them heal, how often to try again, how long to pause.

================================================  ==========================================
fault                                             tried again
================================================  ==========================================
no answer, or not a whole one, or not documented  yes: everything we send is idempotent
500 and above                                     yes
409 `conflict`                                    yes
423 `locked`                                      on change_protection only: it passes
429                                               by the client, as the bucket refills
anything else                                     never: the same request gets the same answer
================================================  ==========================================

The pauses are those of the official clients: doubling, with full jitter.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hetzner_cloud.errors import ConflictError, HetznerCloudError, LockedError, ServerError, TransportError
from hetzner_cloud.settings import Settings

T = TypeVar("T")


def is_transient(error: BaseException | None) -> bool:
    """Tell whether the same request can succeed a little later."""
    if isinstance(error, ConflictError):
        return error.code == "conflict"
    return isinstance(error, TransportError | ServerError | LockedError)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after what pauses a request is tried again."""

    retries: int = 5
    base_seconds: float = 1.0
    max_seconds: float = 60.0

    @classmethod
    def from_settings(cls, settings: Settings) -> "RetryPolicy":
        """Take the retry's part of the settings."""
        return cls(settings.max_retries, settings.retry_base_delay_seconds, settings.retry_max_delay_seconds)

    def bounds(self) -> list[float]:
        """List the upper bound, in seconds, of the pause before each retry."""
        return [
            min(self.max_seconds, self.base_seconds * 2 ** min(retry, 100)) for retry in range(self.retries)
        ]

    async def call(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        on_retry: Callable[[HetznerCloudError, float], None] = lambda _error, _pause: None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> T:
        """Make attempts until one succeeds, none is left, or a fault does not heal.

        Args:
            attempt: Sends the request once.
            on_retry: Is told the fault and the pause in seconds before each retry.
            sleep: Pauses; replaced by tests.
            jitter: Draws the pause between 0 and its bound.

        Raises:
            HetznerCloudError: The last attempt's fault.
        """
        for bound in self.bounds():
            try:
                return await attempt()
            except HetznerCloudError as error:
                if not is_transient(error):
                    raise
                pause = jitter(0, bound)
                on_retry(error, pause)
                await sleep(pause)
        return await attempt()
