"""The endpoint of Hetzner's page Pricing.

https://docs.hetzner.cloud/reference/cloud#pricing
"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.prices import Pricing
from tasks.retries import RETRY_TRANSIENT


@task(task_run_name="list-prices", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def list_prices(credentials: HetznerCloudCredentials) -> Pricing:
    """List the prices of images, in the project's currency.

    https://docs.hetzner.cloud/reference/cloud#pricing

    Args:
        credentials: The project.

    Raises:
        HetznerCloudError: See `hetzner_cloud.errors`.
    """
    async with credentials.get_client() as client:
        return await client.list_prices()
