"""The endpoints of Hetzner's page Images.

https://docs.hetzner.cloud/reference/cloud#images
"""

from collections.abc import Iterable

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.models import Image
from tasks.retries import RETRY_TRANSIENT


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
