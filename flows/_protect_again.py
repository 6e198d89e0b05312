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
from tasks.image_actions import change_image_protection
from tasks.images import get_image
from tasks.waiting import wait_for_image_actions

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

    Seen as protected with an error: it was not this that protected it, and an earlier removal of its
    protection, if one still runs, can take effect later.
    """
    seen = LastSeen("unknown")
    for _ in range(_MAX_TRIES):
        error = await _protect(credentials, image_id, min(timeout_seconds, _MAX_WAIT_SECONDS))
        seen = await look(credentials, image_id)
        if seen.state == "deleted" or (seen.state == "protected" and error is None):
            return seen
        seen = LastSeen(seen.state, error or seen.error)
        if error and error.token_rejected:
            return seen
    return seen


async def look(credentials: HetznerCloudCredentials, image_id: int) -> LastSeen:
    """Get a snapshot; a failure is returned."""
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
) -> ErrorInfo | None:
    try:
        action = await change_image_protection(credentials, image_id, delete=True)
        wait = partial(wait_for_image_actions, credentials, [action])
        await wait(timeout_seconds=timeout_seconds, show_progress=False)
    except ActionError as error:
        run_logger().warning("Snapshot %d: %s", image_id, error)
        return ErrorInfo.of(error)
    except Exception as error:  # noqa: BLE001 - what is seen next decides
        run_logger().warning("Snapshot %d: could not be protected again: %s", image_id, error)
        return ErrorInfo.of(error)
    return None


def _was_interrupted(running: "asyncio.Task[T]") -> bool:
    """Return whether a signal was raised inside of the work."""
    error = running.exception()
    return error is not None and not isinstance(error, Exception)
