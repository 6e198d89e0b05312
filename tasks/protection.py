"""Protecting snapshots in groups, so that a run has a bounded number of task runs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.models import Image
from reporting.run_logging import BatchedLogger, run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.joined_reasons import join_reasons, make_reason
from snapshot_protection.outcomes import ChangeResult, ChangesFailedError
from tasks.retries import RETRY_POLICY
from tasks.task_run_names import parameter, task_run_name_for

_MAX_CONCURRENT_LOOKUPS = 10  # as many as the client has requests in flight


def _run_name() -> str:
    images: Sequence[Image] = parameter("images")
    what = str(images[0].id) if len(images) == 1 else f"{len(images)}-snapshots"
    return task_run_name_for(f"protect-{what}")


# No retry of Prefect's: a group never repeats what its members have done; each member is retried by itself.
@task(task_run_name=_run_name, cache_policy=NO_CACHE, retries=0)
async def protect_images(credentials: HetznerCloudCredentials, images: Sequence[Image]) -> list[ChangeResult]:
    """Ask for the protection of each snapshot of a group.

    Returns:
        For each image, in the order given, its started action; none if it was deleted during the run.

    Raises:
        ChangesFailedError: At least one change failed; its `results` have the others' actions too.
    """
    requested = BatchedLogger("Protection requested")
    try:
        async with credentials.get_client() as client:
            results = await asyncio.gather(*(_protect(client, image.id, requested) for image in images))
    finally:  # whatever was started is named
        requested.flush()
    if any(result.error and not result.is_deleted for result in results):
        _log_errors(results)
        raise ChangesFailedError(results)
    return results


def _log_errors(results: Sequence[ChangeResult]) -> None:
    """Log each error once; the only one is in the exception, too."""
    failed = [(result.image_id, result.error) for result in results if result.error]
    if len(failed) > 1:
        what = "could not be changed"
        reasons = (
            make_reason(what, f"snapshot {image_id}", error, image_id=image_id) for image_id, error in failed
        )
        for reason in join_reasons(reasons):
            run_logger().warning("%s", reason)


async def _protect(client: HetznerCloudClient, image_id: int, requested: BatchedLogger) -> ChangeResult:
    logger = run_logger()

    def say(error: HetznerCloudError, pause: float) -> None:
        logger.warning("Snapshot %d: retrying in %.1f seconds: %s", image_id, pause, error)

    try:
        action = await RETRY_POLICY.call(
            partial(client.change_image_protection, image_id, delete=True), on_retry=say
        )
    except HetznerCloudError as error:
        return ChangeResult(image_id=image_id, error=ErrorInfo.of(error))
    except Exception as error:  # a defect of ours with one member must not lose what the others started
        logger.exception("Snapshot %d: could not be changed", image_id)
        return ChangeResult(image_id=image_id, error=ErrorInfo.of(error))
    except asyncio.CancelledError:
        logger.warning(
            "Snapshot %d: cancelled while its protection was requested: it may be in progress", image_id
        )
        raise
    requested.add(str(action))
    return ChangeResult(image_id=image_id, action=action)


@task(
    task_run_name=lambda: task_run_name_for("look-for-unlisted-snapshots"), cache_policy=NO_CACHE, retries=0
)
async def get_unlisted_images(
    credentials: HetznerCloudCredentials, image_ids: Sequence[int]
) -> dict[int, Image | ErrorInfo]:
    """Look for images that a listing did not show: gone, relabelled, or shifted from page to page.

    Returns:
        By id, each image that exists, or the error that hides its state; those that are deleted are not
        in it.
    """
    async with credentials.get_client() as client:
        lookup = _Lookup(client)
        found = await asyncio.gather(*(lookup.find(image_id) for image_id in image_ids))
    return {image_id: image for image_id, image in zip(image_ids, found, strict=True) if image is not None}


@dataclass
class _Lookup:
    """Looks for images until the token is rejected: a request for each further one would return the same."""

    client: HetznerCloudClient
    limiter: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_CONCURRENT_LOOKUPS))
    rejection: ErrorInfo | None = None

    async def find(self, image_id: int) -> Image | ErrorInfo | None:
        async with self.limiter:
            return self.rejection or await self._get(image_id)

    async def _get(self, image_id: int) -> Image | ErrorInfo | None:
        try:
            return await RETRY_POLICY.call(partial(self.client.get_image, image_id))
        except HetznerCloudError as error:
            info = ErrorInfo.of(error)
        if info.token_rejected:
            self.rejection = info
        return None if info.is_deleted else info
