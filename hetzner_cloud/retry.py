"""The one retry policy: which errors are transient, how often to retry, after what delays.

================================================  ==========================================
error                                             repeated
================================================  ==========================================
no response, or a broken or undocumented one      yes: every request but a deletion is idempotent
500 and above                                     yes
409 `conflict`                                    yes
`maintenance` below 500                           where its Retry-After says when
423 `locked`                                      on change_protection only
429                                               by the transport, as the bucket refills
any of them, of a deletion                        never, see `hetzner_cloud.deletions`
anything else                                     never: it would fail again
================================================  ==========================================

The delays are those of the official clients: doubling, with full jitter. A longer one that a Retry-After
asks for is honoured up to the longest delay of the policy: by `RetryPolicy.call`, and for all requests of a
project by its throttle, because not every caller's delays can depend on the error.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hetzner_cloud.errors import (
    ApiError,
    ConflictError,
    HetznerCloudError,
    LockedError,
    ResourceUnavailableError,
    ServerError,
    TransportError,
)
from hetzner_cloud.settings import Settings

T = TypeVar("T")


def is_transient(error: BaseException | None) -> bool:
    """Return whether the same request can succeed a little later."""
    if isinstance(error, ConflictError):
        return error.code == "conflict"
    if isinstance(error, ResourceUnavailableError):
        return error.code == "maintenance" and error.retry_after_seconds is not None
    return isinstance(error, TransportError | ServerError | LockedError)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after what delays a request is repeated."""

    retries: int = 5
    base_seconds: float = 1.0
    max_seconds: float = 60.0

    @classmethod
    def from_settings(cls, settings: Settings) -> "RetryPolicy":
        """Take the retry's part of the settings."""
        return cls(settings.max_retries, settings.retry_base_delay_seconds, settings.retry_max_delay_seconds)

    def max_delays(self) -> list[float]:
        """List the maximum delay before each retry in seconds."""
        return [
            min(self.max_seconds, self.base_seconds * 2 ** min(retry, 100)) for retry in range(self.retries)
        ]

    def retry_after(self, error: HetznerCloudError) -> float:
        """Return the delay in seconds that an error asks for, within the policy's maximum; 0 for none."""
        asked_for = error.retry_after_seconds if isinstance(error, ApiError) else None
        return min(asked_for or 0.0, self.max_seconds)

    async def call(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        on_retry: Callable[[HetznerCloudError, float], None] = lambda _error, _delay: None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> T:
        """Make attempts until one succeeds, none is left, or an error is not transient.

        Args:
            attempt: Sends the request once.
            on_retry: Receives the error and the delay in seconds before each retry.
            sleep: Sleeps; replaced by tests.
            jitter: Draws the delay between 0 and its maximum.

        Raises:
            HetznerCloudError: The last attempt's error.
        """
        for max_delay in self.max_delays():
            try:
                return await attempt()
            except HetznerCloudError as error:
                if not is_transient(error):
                    raise
                delay = max(jitter(0, max_delay), self.retry_after(error))
                on_retry(error, delay)
                await sleep(delay)
        return await attempt()
