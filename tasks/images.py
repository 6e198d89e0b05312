"""The endpoints of Hetzner's page Images.

https://docs.hetzner.cloud/reference/cloud#images
"""

from collections.abc import Iterable
from functools import partial
from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.deletions import DeletionUnconfirmedError, ImageNotDeletedError
from hetzner_cloud.errors import HetznerCloudError, NotFoundError
from hetzner_cloud.models import Image
from reporting.run_logging import run_logger
from tasks.retries import RETRY_POLICY, RETRY_TRANSIENT

DeletionResult = Literal["accepted", "verified", "already_deleted"]


@task(task_run_name="list-images", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def list_images(
    credentials: HetznerCloudCredentials,
    *,
    type: str | Iterable[str] | None = None,
    status: str | Iterable[str] | None = None,
    label_selector: str = "",
) -> list[Image]:
    """List a project's images, all pages, by ascending id; no filter unless one is given.

    https://docs.hetzner.cloud/reference/cloud#images-list-images

    Args:
        credentials: The project.
        type: Any of `system`, `app`, `snapshot`, `backup`.
        status: Any of `available`, `creating`, `unavailable`.
        label_selector: E.g. `env=prod,!temporary`.

    Raises:
        HetznerCloudError: See `hetzner_cloud.errors`; InvalidArgumentError before anything was sent.
    """
    async with credentials.get_client() as client:
        return await client.list_images(type=type, status=status, label_selector=label_selector)


@task(task_run_name="get-image-{image_id}", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def get_image(credentials: HetznerCloudCredentials, image_id: int) -> Image:
    """Get an image.

    https://docs.hetzner.cloud/reference/cloud#images-get-an-image

    Args:
        credentials: The project.
        image_id: From 1 to 2^53-1.

    Raises:
        HetznerCloudError: NotFoundError if there is none; others see `hetzner_cloud.errors`.
    """
    async with credentials.get_client() as client:
        return await client.get_image(image_id)


# No retry, also not Prefect's default ones: what a lost request did is verified, and never done again.
@task(task_run_name="delete-image-{image_id}", cache_policy=NO_CACHE, retries=0)
async def delete_image(credentials: HetznerCloudCredentials, image_id: int) -> DeletionResult:
    """Delete a snapshot or backup with one request; if its response settles nothing, get the image.

    https://docs.hetzner.cloud/reference/cloud#images-delete-an-image

    Args:
        credentials: The project; its token needs the permission Read & Write.
        image_id: From 1 to 2^53-1; that of an unprotected image.

    Returns:
        `accepted`: the API returned success, so get the image to see whether it is deleted; `verified`: no
        response settled it, and the image is deleted; `already_deleted`: it was before.

    Raises:
        ProtectedError: It is protected.
        ImageNotDeletedError: No response settled it, and the image still exists: only the caller can decide
            whether to delete it again. A request that timed out can still be carried out.
        DeletionUnconfirmedError: No response settled it, and the image could not be read either.
        HetznerCloudError: Others see `hetzner_cloud.errors`; the API rejected the deletion.
    """
    async with credentials.get_client() as client:
        try:
            await client.delete_image(image_id)
        except NotFoundError:
            return "already_deleted"
        except DeletionUnconfirmedError as unconfirmed:
            run_logger().warning("%s", unconfirmed)
            await _require_deleted(client, image_id, unconfirmed)
            return "verified"
    return "accepted"


async def _require_deleted(
    client: HetznerCloudClient, image_id: int, unconfirmed: DeletionUnconfirmedError
) -> None:
    try:
        image = await RETRY_POLICY.call(partial(client.get_image, image_id))
    except HetznerCloudError as error:
        if isinstance(error, NotFoundError) and error.code == "not_found":  # a gateway's 404 has no such code
            return
        run_logger().warning("Image %d could not be read either: %s", image_id, error)
        raise unconfirmed from error
    raise ImageNotDeletedError(image, unconfirmed)
