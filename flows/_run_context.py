"""What a flow run is part of, and the state that it ends in."""

from typing import TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext

T = TypeVar("T")


def is_deployed() -> bool:
    """Return whether the flow run in progress belongs to a deployment."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.deployment_id)


def is_subflow_run() -> bool:
    """Return whether another flow run started the one in progress, and waits for its report."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.parent_task_run_id)


def returned_state(state: State[T]) -> T:
    """Type a state as what a flow returns: it becomes the run's state, and its data the caller's result."""
    return cast("T", state)
