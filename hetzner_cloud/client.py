"""A client for the images and image actions of one Hetzner Cloud project.

Each endpoint is one method, named as Hetzner's page of it; lists come back whole, all pages. A method sends
each request once (but for rate limiting, which is waited for): what to do about faults is the caller's, see
`hetzner_cloud.retry`.
"""

import logging
from collections.abc import Iterable, Sequence
from copy import copy
from functools import partial
from math import ceil
from operator import attrgetter
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel, SecretStr

from hetzner_cloud import validation
from hetzner_cloud.errors import (
    AuthenticationError,
    DeprecatedEndpointError,
    InvalidResponseError,
    NotFoundError,
    ReadOnlyTokenError,
)
from hetzner_cloud.models import Action, Image
from hetzner_cloud.pagination import (
    ActionsPage,
    ImagesPage,
    fetch_consistently,
    fetch_in_reverse,
    fetch_pages,
    gather_or_cancel,
)
from hetzner_cloud.responses import parse_model
from hetzner_cloud.settings import Settings
from hetzner_cloud.transport import Connection, Query

LOGGER = logging.getLogger("hetzner_cloud")

DEFAULT_ENDPOINT = "https://api.hetzner.cloud/v1"
MAX_IDS_PER_REQUEST = 25  # further ones may silently not be answered
_PER_PAGE = 50

M = TypeVar("M", bound=BaseModel)
Choices = str | Iterable[str] | None


class _ImageResponse(BaseModel):
    image: Image


class _ActionResponse(BaseModel):
    action: Action


class HetznerCloudClient:
    """Speaks with one project; use it as a context manager.

    Args:
        token: The project's API token.
        endpoint: The API's base URL.
        rate_limit_reserve: The share of the request budget that is left to the project's other users.
        owner: Whose token it is, for messages, e.g. `the credentials block 'prod'`.
        settings: Times and bounds, by default from the environment.

    Raises:
        InvalidArgumentError: An argument, or an argument of a method, is not usable; nothing was sent.
        HetznerCloudError: See `hetzner_cloud.errors`; any method raises what its requests meet.
    """

    def __init__(
        self,
        token: SecretStr,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        rate_limit_reserve: float = 0.1,
        owner: str = "this project",
        settings: Settings | None = None,
    ) -> None:
        self._connection = Connection(
            token,
            endpoint,
            rate_limit_reserve=rate_limit_reserve,
            owner=owner,
            settings=settings or Settings.from_environment(),
        )
        self._changes_rejected: AuthenticationError | ReadOnlyTokenError | None = None

    def share(self, most: int) -> None:
        """Have no more than so many requests in flight, because other projects have some too."""
        self._connection.share(most)

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)

    async def list_images(
        self, *, type: Choices = None, status: Choices = None, label_selector: str = ""
    ) -> list[Image]:
        """List images, by ascending id; deprecated ones too. No filter unless one is given.

        https://docs.hetzner.cloud/reference/cloud#images-list-images

        Args:
            type: Any of `system`, `app`, `snapshot`, `backup`.
            status: Any of `available`, `creating`, `unavailable`.
            label_selector: E.g. `env=prod,!temporary`.
        """
        query: list[tuple[str, str | int]] = [("include_deprecated", "true")]
        query += _repeat_param(
            "type", validation.validate_choices(type, validation.IMAGE_TYPES, "image type")
        )
        query += _repeat_param(
            "status", validation.validate_choices(status, validation.IMAGE_STATUSES, "image status")
        )
        if selector := validation.validate_label_selector(label_selector):
            query.append(("label_selector", selector))
        newest_first = partial(self._get_page, ImagesPage, "/images", [("sort", "id:desc"), *query])
        oldest_first = partial(self._get_page, ImagesPage, "/images", [("sort", "id:asc"), *query])
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
        return await self._list_actions(f"/images/{image_id}/actions", _action_query(sort, status))

    async def get_action_for_image(self, image_id: int, action_id: int) -> Action:
        """Get an action of one image.

        Hetzner deprecated this endpoint on 2026-04-30; where it is gone, `get_image_action` answers instead.

        https://docs.hetzner.cloud/reference/cloud#image-actions-get-an-action-for-an-image
        """
        validation.validate_id(image_id, "The image id")
        validation.validate_id(action_id, "The action id")
        request = f"/images/{image_id}/actions/{action_id}"
        try:
            return (await self._get(_ActionResponse, request)).action
        except DeprecatedEndpointError as gone:
            LOGGER.warning(
                "GET %s is gone, asking GET /images/actions/%d instead. %s",
                *(request, action_id, gone.announcement),
            )
        action = await self.get_image_action(action_id)
        if action.image_id not in {image_id, None}:
            raise NotFoundError(f"Action {action_id} is not of image {image_id}", "not_found", 404)
        return action

    async def change_image_protection(self, image_id: int, *, delete: bool) -> Action:
        """Set whether a snapshot is protected from deletion; the returned action may still be running.

        Once a change was refused for the token's sake, this client sends no further one: the same refusal is
        raised.

        https://docs.hetzner.cloud/reference/cloud#image-actions-change-image-protection
        """
        validation.validate_id(image_id, "The image id")
        validation.validate_flag(delete, "The protection")
        path = f"/images/{image_id}/actions/change_protection"
        try:
            answer = await self._connection.request(
                "POST", path, json={"delete": delete}, pre_send_check=self._raise_if_rejected
            )
        except (AuthenticationError, ReadOnlyTokenError) as refusal:
            self._changes_rejected = refusal
            raise
        return parse_model(_ActionResponse, answer).action

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
        query, limit = _action_query(sort, status), validation.validate_limit(limit)
        if ids is None:
            return await self._list_actions("/images/actions", query, limit)
        batches = await gather_or_cancel(
            self._list_actions("/images/actions", [*_repeat_param("id", batch), *query])
            for batch in batched_ids(ids)
        )
        actions = _sort_actions(
            (action for batch in batches for action in batch), validation.validate_sort(sort)
        )
        return actions[:limit]

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
        batches = await gather_or_cancel(
            self._get(ActionsPage, "/actions", _repeat_param("id", batch)) for batch in batched_ids(ids)
        )
        return [action for batch in batches for action in batch.actions]

    async def _list_actions(self, path: str, query: Query, limit: int | None = None) -> list[Action]:
        fetch = partial(self._get_page, ActionsPage, path, query)
        pages = await (
            fetch_pages(fetch) if limit is None else fetch_pages(fetch, most=ceil(limit / _PER_PAGE))
        )
        return [action for page in pages for action in page.actions][:limit]

    async def _get_page(self, model: type[M], path: str, query: Query, number: int) -> M:
        return await self._get(model, path, [*query, ("page", number), ("per_page", _PER_PAGE)])

    async def _get(self, model: type[M], path: str, query: Query = ()) -> M:
        return parse_model(model, await self._connection.request("GET", path, query=query))

    def _raise_if_rejected(self) -> None:
        if self._changes_rejected is not None:
            raise copy(self._changes_rejected)  # one that is raised again grows with each traceback


def batched_ids(ids: Iterable[int]) -> list[list[int]]:
    """Split action ids, each once, into lists that one request can ask for.

    Raises:
        InvalidArgumentError: One of them is no action id.
    """
    unique = list(dict.fromkeys(validation.validate_id(action_id, "An action id") for action_id in ids))
    return [unique[at : at + MAX_IDS_PER_REQUEST] for at in range(0, len(unique), MAX_IDS_PER_REQUEST)]


def _sort_actions(actions: Iterable[Action], sort: Sequence[str]) -> list[Action]:
    """Sort what came in several answers, each of them sorted, as one answer would be."""
    ordered = list(actions)
    for key in reversed(sort):
        name, _, direction = key.partition(":")
        read = attrgetter(name)
        ordered.sort(key=lambda action: (read(action) is None, read(action)), reverse=direction == "desc")
    return ordered


def _action_query(sort: Choices, status: Choices) -> list[tuple[str, str | int]]:
    keys = validation.validate_sort(sort) or ["id:asc"]  # a stable order, or pages can overlap
    chosen = validation.validate_choices(status, validation.ACTION_STATUSES, "action status")
    return [*_repeat_param("sort", keys), *_repeat_param("status", chosen)]


def _repeat_param(name: str, values: Iterable[str | int]) -> list[tuple[str, str | int]]:
    return [(name, value) for value in values]
