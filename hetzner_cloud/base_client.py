"""What all endpoints of the client share: reading one thing, reading pages, and sending changes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from functools import partial
from math import ceil
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import AuthenticationError, ReadOnlyTokenError, TransportError
from hetzner_cloud.page_retries import PageRetries
from hetzner_cloud.pages import ActionsPage, Page
from hetzner_cloud.pagination import FetchPage, fetch_in_reverse, fetch_pages
from hetzner_cloud.requests import ApiRequest, Query
from hetzner_cloud.responses import ApiResponse, parse_model
from hetzner_cloud.retry import RetryPolicy
from hetzner_cloud.settings import Settings
from hetzner_cloud.throttle import Throttle
from hetzner_cloud.transport import Transport

_PER_PAGE = 50

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", bound=Page)
ReadPages = Callable[[], Awaitable[Sequence[P]]]


class BaseClient:
    """A connection to one project, and what is known of its token.

    Args:
        config: The project's token and endpoint.
        settings: Timeouts and limits, by default from the environment.
        throttle: What is known of the project's rate limit, by default nothing.

    Raises:
        InvalidArgumentError: A setting is invalid.
    """

    def __init__(
        self, config: ClientConfig, settings: Settings | None = None, *, throttle: Throttle | None = None
    ) -> None:
        settings = settings or Settings.from_environment()
        self._transport = Transport(config, settings, throttle=throttle)
        self._page_policy = RetryPolicy.from_settings(settings)
        self._changes_rejected: AuthenticationError | ReadOnlyTokenError | None = None

    def limit_concurrency(self, max_requests: int) -> None:
        """Have no more than so many requests in flight, because other projects have some too."""
        self._transport.limit_concurrency(max_requests)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def _get(self, model: type[M], path: str, query: Query = ()) -> M:
        return parse_model(model, await self._transport.send(ApiRequest("GET", path, query)))

    async def _change(
        self, request: ApiRequest, *, pre_send_check: Callable[[], None] = lambda: None
    ) -> ApiResponse:
        """Send a change, unless one was rejected because of the token: then the same error is raised."""

        def check() -> None:
            self._raise_if_rejected()
            pre_send_check()

        try:
            return await self._transport.send(request, pre_send_check=check)
        except (AuthenticationError, ReadOnlyTokenError) as rejection:
            self._changes_rejected = rejection
            raise

    async def _change_soon(self, request: ApiRequest, max_wait_seconds: float) -> ApiResponse:
        """Send a change if its turn comes within so many seconds; after that its own timeout counts.

        Raises:
            TransportError: Its turn did not come, and nothing was sent.
        """
        try:
            async with asyncio.timeout(max_wait_seconds) as wait:
                return await self._change(request, pre_send_check=lambda: wait.reschedule(None))
        except TimeoutError:
            message = f"{request} was not sent within {max_wait_seconds:g} s"
            raise TransportError(message, "not_sent") from None

    def _raise_if_rejected(self) -> None:
        if self._changes_rejected is not None:
            raise copy(self._changes_rejected)  # one that is raised again grows with each traceback

    def _both_directions(
        self, model: type[P], path: str, query: Query = ()
    ) -> tuple[ReadPages[P], ReadPages[P]]:
        """Return how a list is read: its pages at once, the newest first; or in reverse, the oldest first."""
        newest_first = self._fetch_page(model, path, [("sort", "id:desc"), *query])
        oldest_first = self._fetch_page(model, path, [("sort", "id:asc"), *query])
        return partial(fetch_pages, newest_first), partial(fetch_in_reverse, oldest_first)

    async def _get_action_pages(
        self, path: str, query: Query, limit: int | None = None
    ) -> Sequence[ActionsPage]:
        fetch = self._fetch_page(ActionsPage, path, query)
        max_pages = None if limit is None else ceil(limit / _PER_PAGE)
        return await fetch_pages(fetch, max_pages=max_pages)

    def _fetch_page(self, model: type[P], path: str, query: Query) -> FetchPage[P]:
        return PageRetries(partial(self._get_page, model, path, query), self._page_policy)

    async def _get_page(self, model: type[P], path: str, query: Query, number: int) -> P:
        page = await self._get(model, path, [*query, ("page", number), ("per_page", _PER_PAGE)])
        return page.numbered(number)
