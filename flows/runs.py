"""What all flows do alike: name their runs, know how they were started, end in a state of their choice."""

from collections.abc import Sequence
from typing import TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext

T = TypeVar("T")
_NAMED = 3


def name_of_run(verb: str, projects: Sequence[str]) -> str:
    """Name a run by what it does and to which projects; the first three are named."""
    named = "-".join(projects[:_NAMED]) or "all-projects"
    more = f"-and-{len(projects) - _NAMED}-more" if len(projects) > _NAMED else ""
    return f"{verb}-{named}{more}"


def is_deployed() -> bool:
    """Tell whether the flow run under way belongs to a deployment."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.deployment_id)


def end(state: State[T]) -> T:
    """A state that a flow returns becomes its run's own; who calls the flow gets the state's data."""
    return cast("T", state)
