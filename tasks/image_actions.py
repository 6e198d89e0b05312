"""The endpoints of Hetzner's page Image Actions.

https://docs.hetzner.cloud/reference/cloud#image-actions
"""

from collections.abc import Iterable

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.models import Action
from tasks.retries import RETRY_TRANSIENT


@task(task_run_name="list-actions-for-image-{image_id}", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def list_actions_for_image(
    credentials: HetznerCloudCredentials,
    image_id: int,
    *,
    sort: str | Iterable[str] | None = None,
    status: str | Iterable[str] | None = None,
) -> list[Action]:
    """List the actions of one image, all pages.

    https://docs.hetzner.cloud/reference/cloud#image-actions-list-actions-for-an-image

    Args:
        credentials: The project.
        image_id: From 1 to 2^53-1.
        sort: Any of `id`, `command`, `status`, `started`, `finished`, each also with `:asc` or `:desc`.
        status: Any of `running`, `success`, `error`.

    Raises:
        HetznerCloudError: NotFoundError if there is no such image; others see `hetzner_cloud.errors`.
    """
    async with credentials.get_client() as client:
        return await client.list_actions_for_image(image_id, sort=sort, status=status)


@task(task_run_name="get-action-{action_id}-for-image-{image_id}", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def get_action_for_image(credentials: HetznerCloudCredentials, image_id: int, action_id: int) -> Action:
    """Get an action of one image; where Hetzner has removed this endpoint, with `get_image_action`.

    https://docs.hetzner.cloud/reference/cloud#image-actions-get-an-action-for-an-image

    Args:
        credentials: The project.
        image_id: From 1 to 2^53-1.
        action_id: From 1 to 2^53-1.

    Raises:
        HetznerCloudError: NotFoundError if the image has no such action; others see `hetzner_cloud.errors`.
    """
    async with credentials.get_client() as client:
        return await client.get_action_for_image(image_id, action_id)


@task(task_run_name="change-protection-{image_id}-delete-{delete}", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def change_image_protection(
    credentials: HetznerCloudCredentials, image_id: int, *, delete: bool
) -> Action:
    """Set whether a snapshot is protected from deletion; the returned action may still be running.

    https://docs.hetzner.cloud/reference/cloud#image-actions-change-image-protection

    Args:
        credentials: The project; its token needs the permission Read & Write.
        image_id: From 1 to 2^53-1; a snapshot's.
        delete: True protects it, False removes the protection.

    Raises:
        HetznerCloudError: NotFoundError if it does not exist, LockedError if another action still runs on it
            after the retries, ReadOnlyTokenError, AuthenticationError; others see `hetzner_cloud.errors`.
    """
    async with credentials.get_client() as client:
        return await client.change_image_protection(image_id, delete=delete)


@task(task_run_name="list-image-actions", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def list_image_actions(
    credentials: HetznerCloudCredentials,
    *,
    ids: Iterable[int] | None = None,
    sort: str | Iterable[str] | None = None,
    status: str | Iterable[str] | None = None,
    limit: int | None = None,
) -> list[Action]:
    """List the actions of all images of a project, or those with the given ids; all pages, unless limited.

    https://docs.hetzner.cloud/reference/cloud#image-actions-list-actions

    Args:
        credentials: The project.
        ids: Action ids, any number; sent 25 a request.
        sort: Any of `id`, `command`, `status`, `started`, `finished`, each also with `:asc` or `:desc`.
        status: Any of `running`, `success`, `error`.
        limit: Return the first ones only, this many, and read no page beyond them; None returns all.

    Raises:
        HetznerCloudError: See `hetzner_cloud.errors`; InvalidArgumentError before anything was sent.
    """
    async with credentials.get_client() as client:
        return await client.list_image_actions(ids=ids, sort=sort, status=status, limit=limit)


@task(task_run_name="get-image-action-{action_id}", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def get_image_action(credentials: HetznerCloudCredentials, action_id: int) -> Action:
    """Get an action of any image of a project.

    https://docs.hetzner.cloud/reference/cloud#image-actions-get-an-action

    Args:
        credentials: The project.
        action_id: From 1 to 2^53-1.

    Raises:
        HetznerCloudError: NotFoundError if there is none; others see `hetzner_cloud.errors`.
    """
    async with credentials.get_client() as client:
        return await client.get_image_action(action_id)
