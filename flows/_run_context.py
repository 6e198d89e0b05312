"""What a flow run is part of, and the state that it ends in."""

import gc
from functools import cache
from typing import TypeVar, cast

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext

T = TypeVar("T")


@cache
def exclude_imports_from_collection() -> None:
    """Spare the garbage collector what is there when the first run of a process begins: Prefect, mostly.

    Looking through it again and again takes a tenth of the time of a run with 10,000 snapshots.
    """
    gc.freeze()


def is_deployed() -> bool:
    """Return whether the flow run in progress belongs to a deployment."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.deployment_id)


async def has_deployment_values(*parameters: str) -> bool:
    """Return whether the flow run in progress has its deployment's own values of these parameters.

    A run that was started with others, or belongs to no deployment, has not.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None or flow_run.deployment_id is None:
        return False
    async with get_client() as client:
        deployment = await client.read_deployment(flow_run.deployment_id)
    # What is left out is the flow's default, which is empty.
    pairs = [(flow_run.parameters.get(name), deployment.parameters.get(name)) for name in parameters]
    return all((of_run or None) == (of_deployment or None) for of_run, of_deployment in pairs)


def is_subflow_run() -> bool:
    """Return whether another flow run started the one in progress, and waits for its report."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.parent_task_run_id)


def returned_state(state: State[T]) -> T:
    """Type a state as what a flow returns: it becomes the run's state, and its data the caller's result."""
    return cast("T", state)
