"""The endpoint of Hetzner's page Servers that images depend on.

https://docs.hetzner.cloud/reference/cloud#servers
"""

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.servers import Server
from tasks.retries import RETRY_TRANSIENT


@task(task_run_name="list-servers", cache_policy=NO_CACHE, **RETRY_TRANSIENT)
async def list_servers(credentials: HetznerCloudCredentials) -> list[Server]:
    """List a project's servers, all pages, by ascending id: each with the id of its image, or None.

    https://docs.hetzner.cloud/reference/cloud#servers-list-servers

    Args:
        credentials: The project.

    Raises:
        UnreadableServersError: Some could not be read, so an image that seems to be unused can be in use.
        HetznerCloudError: See `hetzner_cloud.errors`.
    """
    async with credentials.get_client() as client:
        return await client.list_servers()
