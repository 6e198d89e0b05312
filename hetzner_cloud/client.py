"""A client for one Hetzner Cloud project: its images, image actions and servers, and prices.

Each endpoint is one method, named as on Hetzner's page of it; lists are returned whole, all pages. A method
sends each request once (but for rate limiting, which it waits for, and a list's further pages): whether to
repeat one after an error is the caller's decision, see `hetzner_cloud.retry`. A list with entries that cannot
be read is an UnreadableEntriesError, which has all others.
"""

import logging
from collections.abc import Iterable
from functools import partial

from pydantic import BaseModel

from hetzner_cloud import validation
from hetzner_cloud.action_lists import actions_or_raise, sort_actions
from hetzner_cloud.base_client import BaseClient
from hetzner_cloud.consistent_read import fetch_images, fetch_servers
from hetzner_cloud.deletions import DeletionUnconfirmedError, settles_deletion
from hetzner_cloud.errors import (
    DeprecatedEndpointError,
    HetznerCloudError,
    InvalidResponseError,
    NotFoundError,
)
from hetzner_cloud.models import Action, Image
from hetzner_cloud.pages import ActionsPage, ImagesPage, ServersPage
from hetzner_cloud.pagination import gather_or_cancel
from hetzner_cloud.prices import Pricing
from hetzner_cloud.requests import (
    ApiRequest,
    Choices,
    actions_query,
    batched_ids,
    images_query,
    repeat_param,
)
from hetzner_cloud.responses import parse_model, require_no_content
from hetzner_cloud.servers import Server

LOGGER = logging.getLogger(__name__)


class _ImageResponse(BaseModel):
    image: Image


class _ActionResponse(BaseModel):
    action: Action


class _PricingResponse(BaseModel):
    pricing: Pricing


class HetznerCloudClient(BaseClient):
    """Sends requests to one project; use it as a context manager.

    Raises:
        InvalidArgumentError: A setting, or an argument of a method, is invalid; nothing was sent.
        HetznerCloudError: See `hetzner_cloud.errors`; any method raises what its requests meet.
    """

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
        return await fetch_images(*self._both_directions(ImagesPage, "/images", query))

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

    async def delete_image(self, image_id: int, *, max_wait_seconds: float = 60) -> None:
        """Delete a snapshot or backup with one request, which is never repeated, not even after a 429.

        That it returns means that the API returned 204, not that the image is deleted: get it.

        https://docs.hetzner.cloud/reference/cloud#images-delete-an-image

        Args:
            image_id: The image.
            max_wait_seconds: How long it may wait for its turn, e.g. for the rate limit; what was known of
                the image before is too old then, and nothing is sent.

        Raises:
            NotFoundError: It was deleted before.
            ProtectedError: It is protected.
            DeletionUnconfirmedError: It may be deleted or not; get it before anything else.
        """
        validation.validate_id(image_id, "The image id")
        validation.validate_timeout(max_wait_seconds)
        request = ApiRequest("DELETE", f"/images/{image_id}", sent_once=True)
        try:
            response = await self._change_soon(request, max_wait_seconds)
            require_no_content(response)
        except HetznerCloudError as error:
            if settles_deletion(error):
                raise
            raise DeletionUnconfirmedError.of(image_id, error) from error

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
                "GET %s was removed; using GET /images/actions/%d instead. %s",
                *(path, action_id, removed.announcement),
            )
        action = await self.get_image_action(action_id)
        if action.image_id not in {image_id, None}:
            raise NotFoundError(f"Action {action_id} does not belong to image {image_id}", "not_found", 404)
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
        response = await self._change(ApiRequest("POST", path, json={"delete": delete}))
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

    async def list_servers(self) -> list[Server]:
        """List all servers, by ascending id.

        https://docs.hetzner.cloud/reference/cloud#servers-list-servers

        Raises:
            UnreadableServersError: Some could not be read, so the images that they use are unknown.
        """
        return await fetch_servers(*self._both_directions(ServersPage, "/servers"))

    async def list_prices(self) -> Pricing:
        """List the prices of a project, in its currency.

        https://docs.hetzner.cloud/reference/cloud#pricing
        """
        return (await self._get(_PricingResponse, "/pricing")).pricing
