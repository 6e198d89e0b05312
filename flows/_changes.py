"""Requests to protect many snapshots, in a bounded number of task runs, and the wait for their actions."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TypeVar, cast

from prefect.utilities.annotations import opaque

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.errors import ActionError
from hetzner_cloud.models import Image
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangeResult, ChangesFailedError, WaitResult, find_token_rejection
from tasks.inline import in_task_run
from tasks.protection import protect_images
from tasks.waiting import wait_for_image_actions

_MAX_CONCURRENT_SINGLES = 10  # as many as the client has requests in flight
_MAX_CONCURRENT_GROUPS = 2  # one of them keeps the connections busy while the other begins or ends
_MIN_GROUP_SIZE = 50

T = TypeVar("T")


async def request_protection(
    credentials: HetznerCloudCredentials, images: Sequence[Image], *, max_groups: int
) -> list[ChangeResult]:
    """Request the protection of each snapshot, in at most so many task runs; one result each, in order."""
    size = _group_size(len(images), max_groups)
    groups = [images[at : at + size] for at in range(0, len(images), size)]
    requests = _GroupRequests(
        credentials, asyncio.Semaphore(_MAX_CONCURRENT_SINGLES if size == 1 else _MAX_CONCURRENT_GROUPS)
    )
    results = await asyncio.gather(*(requests.send(group) for group in groups))
    return [result for group in results for result in group]


async def wait_for_changes(
    credentials: HetznerCloudCredentials,
    changes: Sequence[ChangeResult],
    *,
    max_groups: int,
    timeout_seconds: float,
    show_progress: bool,
) -> WaitResult:
    """Wait for the actions that requests started; whatever happens, what is known of them is returned."""
    actions = [change.action for change in changes if change.action]
    if not actions:
        return WaitResult()
    try:
        finished = await in_task_run(wait_for_image_actions)(
            credentials,
            _without_future_search(actions),
            timeout_seconds=timeout_seconds,
            show_progress=show_progress,
            wait_for=changes[:: _group_size(len(changes), max_groups)],  # one of each group
        )
    except ActionError as error:
        known = [*error.succeeded, *error.failed, *error.unfinished]
        missing = frozenset(action.id for action in error.missing)
        return WaitResult(
            actions={action.id: action for action in known}, missing=missing, reason=error.reason
        )
    except Exception as error:  # noqa: BLE001 - the task run broke: the verification decides
        return WaitResult(reason=f"the wait failed: {error!r}")
    return WaitResult(actions={action.id: action for action in finished})


@dataclass(frozen=True)
class _GroupRequests:
    """Sends groups until the token is rejected: a task run for each further one would return the same."""

    credentials: HetznerCloudCredentials
    limiter: asyncio.Semaphore
    rejections: list[ErrorInfo] = field(default_factory=list)

    async def send(self, group: Sequence[Image]) -> list[ChangeResult]:
        async with self.limiter:
            if self.rejections:
                return [ChangeResult(image_id=image.id, error=self.rejections[0]) for image in group]
            results = await self._run_task(group)
        if rejection := find_token_rejection(results):
            self.rejections.append(rejection)
        return results

    async def _run_task(self, group: Sequence[Image]) -> list[ChangeResult]:
        try:
            protect = in_task_run(protect_images)
            return await protect(self.credentials, _without_future_search(group), wait_for=group[:1])
        except ChangesFailedError as error:
            return error.results
        except Exception as error:  # noqa: BLE001 - the task run broke: the verification decides
            return [ChangeResult(image_id=image.id, error=ErrorInfo.of(error)) for image in group]


def _group_size(count: int, max_groups: int) -> int:
    return 1 if count <= max_groups else max(_MIN_GROUP_SIZE, ceil(count / max_groups))


def _without_future_search(values: Sequence[T]) -> Sequence[T]:
    """Keep Prefect from looking for futures in each value, which takes seconds."""
    return cast("Sequence[T]", opaque(values))
