"""Retrying a page of a list by itself: otherwise one failed page of hundreds would repeat all others."""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.pages import Page
from hetzner_cloud.pagination import FetchPage
from hetzner_cloud.retry import RetryPolicy

LOGGER = logging.getLogger(__name__)

_TOLERATED = 20  # one page in so many may fail: where more do, the API does, and the list is given up

P = TypeVar("P", bound=Page)


@dataclass
class PageRetries(Generic[P]):
    """Fetches the pages of a list, those after the first request with retries.

    Whether to repeat the first request is the caller's decision, as with any request: nothing is lost then.
    """

    fetch: FetchPage[P]
    policy: RetryPolicy
    requested: int = 0
    failures: int = 0

    async def __call__(self, number: int) -> P:
        """Fetch a page.

        Raises:
            HetznerCloudError: Its last attempt's error, or the first one after too many pages have failed.
        """
        self.requested += 1
        if self.requested == 1:
            return await self.fetch(number)
        return await self.policy.call(partial(self.fetch, number), on_retry=self._count)

    def _count(self, error: HetznerCloudError, delay: float) -> None:
        self.failures += 1
        if self.failures > self.policy.retries + self.requested // _TOLERATED:
            raise error
        LOGGER.info("A page of a list failed; retrying it in %.1f s: %s", delay, error)
