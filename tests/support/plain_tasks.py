"""The tasks of prune and protection runs without the engine: plain functions, with as many retries.

For tests that need thousands of runs; time is a clock that only a wait moves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

from prefect import Task

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.action_waiter import wait_for_actions
from hetzner_cloud.retry import RetryPolicy
from sandbox import ManualClock

_TASKS = {
    "flows._observe_project": ("list_images", "list_prices", "list_servers"),
    "flows._prune_snapshot": ("change_image_protection", "delete_image", "get_image"),
    "flows._protect_again": ("change_image_protection", "get_image", "list_actions_for_image"),
    "flows._protect_project": ("list_images", "get_unlisted_images"),
    "flows._changes": ("protect_images",),
}
_WAITS = ("flows._prune_snapshot", "flows._protect_again", "flows._changes")
_AT_ONCE = 1e-6  # seconds before a request is tried again


@contextmanager
def tasks_without_the_engine(clock: ManualClock) -> Iterator[None]:
    """Call the tasks' own functions."""
    with ExitStack() as stack:
        for module, names in _TASKS.items():
            for name in names:
                task = getattr(import_module(module), name)
                stack.enter_context(patch(f"{module}.{name}", _PlainTask(task)))
        for module in _WAITS:
            stack.enter_context(patch(f"{module}.wait_for_image_actions", _wait_by(clock)))
        stack.enter_context(patch("flows._pruning_in_progress.sleep", _sleep_by(clock)))
        for module in ("tasks.images", "tasks.protection"):
            stack.enter_context(patch(f"{module}.RETRY_POLICY", RetryPolicy(base_seconds=_AT_ONCE)))
        yield


class _PlainTask:
    def __init__(self, task: Task[..., Any]) -> None:
        self._fn, self._policy = task.fn, RetryPolicy(retries=task.retries, base_seconds=_AT_ONCE)

    def with_options(self, **_options: object) -> "_PlainTask":
        return self

    async def __call__(self, *args: Any, wait_for: object = None, **named: Any) -> Any:
        del wait_for
        given = [getattr(one, "value", one) for one in args]  # a value that Prefect is not to search
        return await self._policy.call(lambda: self._fn(*given, **named))


def _sleep_by(clock: ManualClock) -> Callable[[float], Awaitable[None]]:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await asyncio.sleep(0)  # lets another run go on

    return sleep


def _wait_by(clock: ManualClock) -> Callable[..., Any]:
    async def wait(credentials: HetznerCloudCredentials, actions: Any, **given: Any) -> Any:
        actions, timeout_seconds = getattr(actions, "value", actions), given["timeout_seconds"]
        async with credentials.get_client() as client:
            return await wait_for_actions(
                client, actions, timeout_seconds=timeout_seconds, clock=clock, sleep=_sleep_by(clock)
            )

    return wait
