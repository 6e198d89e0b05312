"""Waiting for image actions as a task whose progress can be watched."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.action_waiter import Progress, wait_for_actions
from hetzner_cloud.errors import ActionError
from hetzner_cloud.models import Action
from reporting.progress import ProgressArtifact
from reporting.run_logging import run_logger
from snapshot_protection.wording import join_in_chunks, pluralize
from tasks.task_run_names import parameter, task_run_name_for


def _run_name() -> str:
    actions = pluralize(len(parameter("actions")), "action")
    return task_run_name_for(f"wait-for-{actions.replace(' ', '-')}")


# No retry: the wait bears failed polls itself, and one that is over is not begun again.
@task(task_run_name=_run_name, cache_policy=NO_CACHE, retries=0)
async def wait_for_image_actions(
    credentials: HetznerCloudCredentials,
    actions: Sequence[Action],
    *,
    timeout_seconds: float,
    show_progress: bool = True,
) -> list[Action]:
    """Wait until every action is finished; those that are finished already cost no request.

    https://docs.hetzner.cloud/reference/cloud#actions-list-actions

    Args:
        credentials: The project.
        actions: What to wait for, e.g. as `change_image_protection` returned them.
        timeout_seconds: Wall-clock bound of the wait, above 0.
        show_progress: Whether the wait has a progress artifact; many of them in a run are expensive.

    Returns:
        The finished actions in the order given, if all succeeded.

    Raises:
        InvalidArgumentError: The timeout is not above zero; nothing was sent.
        ActionError: Not all succeeded: `succeeded`, `failed`, `unfinished` and `missing` list them. It is an
            ActionFailedError if any failed, an ActionUnfinishedError if else any still runs, an
            ActionNotFoundError if the others are only unknown to the API.
    """
    logger = run_logger()

    async def tell(progress: Progress) -> None:
        for action in progress.finished:
            if not action.succeeded:
                logger.error("Finished with status %s: %s", action.status, action)
        for line in join_in_chunks(str(action) for action in progress.finished if action.succeeded):
            logger.info("Succeeded: %s", line)
        if show_progress:
            artifact.show(progress.percent)

    try:
        async with (
            ProgressArtifact(f"Waiting for {pluralize(len(actions), 'action')}") as artifact,
            credentials.get_client() as client,
        ):
            return await wait_for_actions(client, actions, timeout_seconds=timeout_seconds, on_progress=tell)
    except ActionError as error:  # its message names the first ones
        for what, others in (("Unfinished", error.unfinished), ("Not found", error.missing)):
            for line in join_in_chunks(map(str, others)):
                logger.warning("%s: %s", what, line)
        raise
