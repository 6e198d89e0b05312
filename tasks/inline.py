"""Endpoints within a task run: without task runs of their own, with the same retries."""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from prefect import Task
from prefect.context import TaskRunContext
from prefect.utilities.annotations import BaseAnnotation

from hetzner_cloud.errors import HetznerCloudError
from reporting.run_logging import run_logger
from tasks.retries import RETRY_POLICY

T = TypeVar("T")
Endpoint = Task[..., Coroutine[Any, Any, T]]


def in_task_run(task: Endpoint[T]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Return what calls a task: in a task run of its own or, within one, as a part of that."""
    return partial(_call, task) if TaskRunContext.get() else task


async def _call(
    task: Endpoint[T],
    *arguments: Any,  # noqa: ANN401 - the task's
    wait_for: Iterable[object] = (),  # noqa: ARG001 - an arrow in a graph
    **options: Any,  # noqa: ANN401 - the task's
) -> T:
    attempt = partial(task.fn, *map(_plain, arguments), **options)
    return await RETRY_POLICY.call(attempt, on_retry=_say) if task.retries else await attempt()


def _plain(argument: object) -> object:
    return argument.unwrap() if isinstance(argument, BaseAnnotation) else argument


def _say(error: HetznerCloudError, pause: float) -> None:
    run_logger().warning("Retrying in %.1f seconds: %s", pause, error)
