"""Protecting a snapshot again that a run has, or may have, unprotected; cancellations do not end it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.errors import ActionError, NotFoundError
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from tasks.image_actions import change_image_protection, list_actions_for_image
from tasks.images import get_image
from tasks.waiting import wait_for_image_actions

_CONTRADICTORY = ErrorInfo(
    code="contradictory", message="the API returned its actions, then 404 for the snapshot"
)
_CHANGES_PROTECTION = "change_protection"
_MAX_TRIES = 3
_MAX_RESTARTS = 5
_MAX_WAIT_SECONDS = 60.0  # a worker kills a cancelled run after a while

T = TypeVar("T")


@dataclass(frozen=True)
class LastSeen:
    """How a snapshot was seen last, and what went wrong before."""

    state: Literal["protected", "unprotected", "deleted", "unknown"]
    error: ErrorInfo | None = None


async def finish_despite_cancellation(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Finish some work that must not be left half done; a cancellation, or a signal, goes on afterwards.

    When a signal ends the event loop, every task is cancelled once, that of the work too: it starts again.
    """
    running, held_back = await _finish(work)
    for _ in range(_MAX_RESTARTS):
        if not (running.cancelled() or _was_interrupted(running)):
            break
        running, again = await _finish(work)
        held_back = again or held_back
    if held_back is not None:
        raise held_back
    return running.result()


async def _finish(
    work: Callable[[], Coroutine[Any, Any, T]],
) -> tuple["asyncio.Task[T]", BaseException | None]:
    """Do the work in a task of its own; returns it, and what was to end it in the meantime."""
    held_back: BaseException | None = None
    running = asyncio.create_task(work())
    while not running.done():
        try:
            await asyncio.wait([running])
        except BaseException as error:  # noqa: BLE001 - it goes on when the work is finished
            held_back = error
    return running, held_back


async def protect_again(
    credentials: HetznerCloudCredentials, image_id: int, *, timeout_seconds: float
) -> LastSeen:
    """Protect a snapshot, wait, and get it, up to three times; whatever happens, it is returned.

    An earlier action may run longer than the one that protects, and remove the protection after it. Seen as
    protected with an error: it was not this that protected it, and a removal that was requested before, and
    is not carried out yet, can take effect later.
    """
    seen, timeout_seconds = LastSeen("unknown"), min(timeout_seconds, _MAX_WAIT_SECONDS)
    for _ in range(_MAX_TRIES):
        is_requested, error = await _protect(credentials, image_id, timeout_seconds)
        seen = await look_when_settled(credentials, image_id, timeout_seconds=timeout_seconds)
        if seen.state == "deleted" or (seen.state == "protected" and is_requested):
            return seen
        seen = LastSeen(seen.state, seen.error or error)
        if error and error.token_rejected:
            return seen
    return seen


async def look_when_settled(
    credentials: HetznerCloudCredentials, image_id: int, *, timeout_seconds: float
) -> LastSeen:
    """Get a snapshot once no action can change it any more; a failure is returned.

    It is deleted only if both endpoints say so: one 404 by mistake must not leave it unprotected.
    """
    try:
        exists = await wait_for_running_actions(credentials, image_id, timeout_seconds=timeout_seconds)
    except Exception as error:  # noqa: BLE001 - whatever it is, how the snapshot will be is unknown
        return LastSeen("unknown", ErrorInfo.of(error))
    seen = await look(credentials, image_id)
    if seen.state == "deleted" and exists:
        return LastSeen("unknown", _CONTRADICTORY)
    return seen


async def wait_for_running_actions(
    credentials: HetznerCloudCredentials, image_id: int, *, timeout_seconds: float
) -> bool:
    """Wait until no action runs that changes a snapshot's protection, whoever started it.

    Returns:
        Whether there is such a snapshot.

    Raises:
        HetznerCloudError: They cannot be listed, or one still runs.
    """
    try:
        listed = await list_actions_for_image(credentials, image_id, status="running")
    except NotFoundError as error:
        if error.code == "not_found":  # a gateway's 404 has no such code
            return False
        raise
    running = [action for action in listed if action.command == _CHANGES_PROTECTION]
    if not running:
        return True
    try:
        wait = partial(wait_for_image_actions, credentials, running)
        await wait(timeout_seconds=timeout_seconds, show_progress=False)
    except ActionError as error:
        if error.unfinished:
            raise
    return True


async def look(credentials: HetznerCloudCredentials, image_id: int) -> LastSeen:
    """Get a snapshot; a failure is returned. It is taken for deleted if it is not found twice."""
    seen = await _get(credentials, image_id)
    return await _get(credentials, image_id) if seen.state == "deleted" else seen


async def _get(credentials: HetznerCloudCredentials, image_id: int) -> LastSeen:
    try:
        image = await get_image(credentials, image_id)
    except NotFoundError as error:
        is_deleted = error.code == "not_found"  # a gateway's 404 has no such code
        return LastSeen("deleted" if is_deleted else "unknown", None if is_deleted else ErrorInfo.of(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, what is not seen is unknown
        return LastSeen("unknown", ErrorInfo.of(error))
    if image.deleted:
        return LastSeen("deleted")
    return LastSeen("protected" if image.is_protected else "unprotected")


async def _protect(
    credentials: HetznerCloudCredentials, image_id: int, timeout_seconds: float
) -> tuple[bool, ErrorInfo | None]:
    """Return whether the API has accepted the request, and what went wrong."""
    is_requested = False
    try:
        action = await change_image_protection(credentials, image_id, delete=True)
        is_requested = True
        wait = partial(wait_for_image_actions, credentials, [action])
        await wait(timeout_seconds=timeout_seconds, show_progress=False)
    except ActionError as error:
        run_logger().warning("Snapshot %d: %s", image_id, error)
        return is_requested, ErrorInfo.of(error)
    except Exception as error:  # noqa: BLE001 - what is seen next decides
        run_logger().warning("Snapshot %d: could not be protected again: %s", image_id, error)
        return is_requested, ErrorInfo.of(error)
    return is_requested, None


def _was_interrupted(running: "asyncio.Task[T]") -> bool:
    """Return whether a signal was raised inside of the work."""
    error = running.exception()
    return error is not None and not isinstance(error, Exception)
