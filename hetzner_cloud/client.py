"""A client for the images and image actions of one Hetzner Cloud project.

Each endpoint is one method, named as on Hetzner's page of it; lists are returned whole, all pages. A method
sends each request once (but for rate limiting, which it waits for, and a list's further pages): whether to
repeat one after an error is the caller's decision, see `hetzner_cloud.retry`. A list with entries that cannot
be read is an UnreadableEntriesError, which has all others.
"""

import logging
from collections.abc import Iterable, Sequence
from copy import copy
from functools import partial
from math import ceil
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel

from hetzner_cloud import validation
from hetzner_cloud.action_lists import actions_or_raise, sort_actions
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.consistent_read import fetch_consistently
from hetzner_cloud.errors import (
    AuthenticationError,
    DeprecatedEndpointError,
    InvalidResponseError,
    NotFoundError,
    ReadOnlyTokenError,
)
from hetzner_cloud.models import Action, Image
from hetzner_cloud.page_retries import PageRetries
from hetzner_cloud.pages import ActionsPage, ImagesPage, Page
from hetzner_cloud.pagination import FetchPage, fetch_in_reverse, fetch_pages, gather_or_cancel
from hetzner_cloud.requests import (
    ApiRequest,
    Choices,
    Query,
    actions_query,
    batched_ids,
    images_query,
    repeat_param,
)
from hetzner_cloud.responses import parse_model
from hetzner_cloud.retry import RetryPolicy
from hetzner_cloud.settings import Settings
from hetzner_cloud.throttle import Throttle
from hetzner_cloud.transport import Transport

LOGGER = logging.getLogger(__name__)

_PER_PAGE = 50

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", bound=Page)


class _ImageResponse(BaseModel):
    image: Image


class _ActionResponse(BaseModel):
    action: Action


class HetznerCloudClient:
    """Sends requests to one project; use it as a context manager.

    Args:
        config: The project's token and endpoint.
        settings: Timeouts and limits, by default from the environment.
        throttle: What is known of the project's rate limit, by default nothing.

    Raises:
        InvalidArgumentError: A setting, or an argument of a method, is invalid; nothing was sent.
        HetznerCloudError: See `hetzner_cloud.errors`; any method raises what its requests meet.
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

    async def list_images(
        self, *, type: Choices = None, status: Choices = None, label_selector: str = ""
    ) -> list[Image]:
        """List images, by ascending id; deprecated ones too. No filter unless one is given.

        https://docs.hetzner.cloud/reference/cloud#images-list-images

        Args:
            type: Any of `system`, `app`, `snapshot`, `backup`.
            status: Any of `available`, `creating`, `unavailable`.
            label_selector: E.g. `env=prod,!temporary`.

        Raises:
            UnreadableImagesError: Some could not be read; it has all others.
        """
        query = images_query(type, status, label_selector)
        newest_first = self._fetch_page(ImagesPage, "/images", [("sort", "id:desc"), *query])
        oldest_first = self._fetch_page(ImagesPage, "/images", [("sort", "id:asc"), *query])
        return await fetch_consistently(
            partial(fetch_pages, newest_first), partial(fetch_in_reverse, oldest_first)
        )

    async def get_image(self, image_id: int) -> Image:
        """Get an image.

        https://docs.hetzner.cloud/reference/cloud#images-get-an-image
        """
        validation.validate_id(image_id, "The image id")
        image = (await self._get(_ImageResponse, f"/images/{image_id}")).image
        if image.id != image_id:
            raise InvalidResponseError(
                f"GET /images/{image_id} returned image {image.id}", "invalid_response", 200
            )
        return image

    async def list_actions_for_image(
        self, image_id: int, *, sort: Choices = None, status: Choices = None
    ) -> list[Action]:
        """List the actions of one image.

        https://docs.hetzner.cloud/reference/cloud#image-actions-list-actions-for-an-image

        Args:
            image_id: The image.
            sort: Any of `id`, `command`, `status`, `started`, `finished`, each also with `:asc` or `:desc`.
            status: Any of `running`, `success`, `error`.
        """
        validation.validate_id(image_id, "The image id")
        query = actions_query(sort, status)
        return actions_or_raise(await self._get_action_pages(f"/images/{image_id}/actions", query))

    async def get_action_for_image(self, image_id: int, action_id: int) -> Action:
        """Get an action of one image.

        Hetzner deprecated this endpoint on 2026-04-30; once removed, `get_image_action` is used instead.

        https://docs.hetzner.cloud/reference/cloud#image-actions-get-an-action-for-an-image
        """
        validation.validate_id(image_id, "The image id")
        validation.validate_id(action_id, "The action id")
        path = f"/images/{image_id}/actions/{action_id}"
        try:
            return (await self._get(_ActionResponse, path)).action
        except DeprecatedEndpointError as removed:
            LOGGER.warning(
                "GET %s is gone, asking GET /images/actions/%d instead. %s",
                *(path, action_id, removed.announcement),
            )
        action = await self.get_image_action(action_id)
        if action.image_id not in {image_id, None}:
            raise NotFoundError(f"Action {action_id} is not of image {image_id}", "not_found", 404)
        return action

    async def change_image_protection(self, image_id: int, *, delete: bool) -> Action:
        """Set whether a snapshot is protected from deletion; the returned action may still be running.

        Once a change was rejected because of the token, this client sends no further one: the same error is
        raised.

        https://docs.hetzner.cloud/reference/cloud#image-actions-change-image-protection
        """
        validation.validate_id(image_id, "The image id")
        validation.validate_flag(delete, "The protection")
        path = f"/images/{image_id}/actions/change_protection"
        request = ApiRequest("POST", path, json={"delete": delete})
        try:
            response = await self._transport.send(request, pre_send_check=self._raise_if_rejected)
        except (AuthenticationError, ReadOnlyTokenError) as rejection:
            self._changes_rejected = rejection
            raise
        return parse_model(_ActionResponse, response).action

    async def list_image_actions(
        self,
        *,
        ids: Iterable[int] | None = None,
        sort: Choices = None,
        status: Choices = None,
        limit: int | None = None,
    ) -> list[Action]:
        """List the actions of all images, or those with the given ids.

        https://docs.hetzner.cloud/reference/cloud#image-actions-list-actions

        Args:
            ids: Action ids, any number; sent 25 a request.
            sort: Any of `id`, `command`, `status`, `started`, `finished`, each also with `:asc` or `:desc`.
            status: Any of `running`, `success`, `error`.
            limit: Return the first ones only, this many, and read no page beyond them; None returns all.
        """
        query, limit = actions_query(sort, status), validation.validate_limit(limit)
        if ids is None:
            return actions_or_raise(
                await self._get_action_pages("/images/actions", query, limit), limit=limit
            )
        batches = await gather_or_cancel(
            self._get_action_pages("/images/actions", [*repeat_param("id", batch), *query])
            for batch in batched_ids(ids)
        )
        pages = [page for batch in batches for page in batch]
        return actions_or_raise(pages, partial(sort_actions, sort=sort), limit)

    async def get_image_action(self, action_id: int) -> Action:
        """Get an action of any image.

        https://docs.hetzner.cloud/reference/cloud#image-actions-get-an-action
        """
        validation.validate_id(action_id, "The action id")
        return (await self._get(_ActionResponse, f"/images/actions/{action_id}")).action

    async def list_actions(self, ids: Iterable[int]) -> list[Action]:
        """List actions of any kind by their ids, any number; sent 25 a request.

        https://docs.hetzner.cloud/reference/cloud#actions-list-actions
        """
        pages = await gather_or_cancel(
            self._get(ActionsPage, "/actions", repeat_param("id", batch)) for batch in batched_ids(ids)
        )
        return actions_or_raise(pages)

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

    async def _get(self, model: type[M], path: str, query: Query = ()) -> M:
        return parse_model(model, await self._transport.send(ApiRequest("GET", path, query)))

    def _raise_if_rejected(self) -> None:
        if self._changes_rejected is not None:
            raise copy(self._changes_rejected)  # one that is raised again grows with each traceback
