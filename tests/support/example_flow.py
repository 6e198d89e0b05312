"""A small flow that puts endpoint tasks together."""

from prefect import flow

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.models import Action
from tasks.image_actions import change_image_protection, get_action_for_image, list_actions_for_image
from tasks.images import get_image
from tasks.waiting import wait_for_image_actions


@flow
async def unprotect_and_protect(project: str, image_id: int) -> list[Action]:
    """Change the protection both ways, then read the actions back."""
    credentials = await HetznerCloudCredentials.aload(project)
    for delete in (False, True):
        action = await change_image_protection(credentials, image_id, delete=delete)
        await wait_for_image_actions(credentials, [action], timeout_seconds=10)
        assert (await get_image(credentials, image_id)).is_protected is delete
        assert (await get_action_for_image(credentials, image_id, action.id)).succeeded
    return await list_actions_for_image(
        credentials, image_id, sort=["status:asc", "id:desc"], status=["success", "error"]
    )
