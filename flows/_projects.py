"""What all flows do alike: name their runs, bear one project's error, end in a state of their choice."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.sanitize import pluralize
from reporting.artifacts import ProgressArtifact
from reporting.run_logging import run_logger
from snapshot_protection.outcomes import ErrorInfo

T = TypeVar("T")
_NAMED = 3
_PROJECTS_AT_ONCE = 200  # each has a connection open: a process may have about a thousand files
_MAX_PROGRESS_BARS = 20


def run_name(verb: str, projects: Sequence[str]) -> str:
    """Name a run by what it does and to which projects; the first three are named."""
    named = "-".join(projects[:_NAMED]) or "all-projects"
    more = f"-and-{len(projects) - _NAMED}-more" if len(projects) > _NAMED else ""
    return f"{verb}-{named}{more}"


def protection_run_name() -> str:
    """Name the protection run under way; a dry run is told from one that changes things."""
    parameters = flow_run.parameters
    return run_name("dry-run" if parameters["dry_run"] else "protect", parameters["projects"])


def is_deployed() -> bool:
    """Tell whether the flow run under way belongs to a deployment."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.deployment_id)


def is_subflow_run() -> bool:
    """Tell whether another flow run has started the one under way, and waits for its report."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.parent_task_run_id)


async def for_each_project(projects: Sequence[Project], work: Callable[[Project], Awaitable[T]]) -> list[T]:
    """Work in all projects side by side, and return what became of each, in their order."""
    places = asyncio.Semaphore(_PROJECTS_AT_ONCE)
    done = 0

    async def work_in(project: Project, progress: ProgressArtifact) -> T:
        nonlocal done
        async with places:
            result = await work(project)
        done += 1
        if are_many(projects):
            progress.show(100 * done / len(projects))
        return result

    async with ProgressArtifact(pluralize(len(projects), "project")) as progress:
        return await asyncio.gather(*(work_in(project, progress) for project in projects))


def are_many(projects: Sequence[Project]) -> bool:
    """Tell whether projects are so many that a progress bar for each helps nobody."""
    return len(projects) > _MAX_PROGRESS_BARS


async def run_isolated(
    project: Project,
    work: Callable[[HetznerCloudCredentials], Awaitable[T]],
    in_trouble: Callable[[ErrorInfo | None], T],
) -> T:
    """Do one project's part of a run; whatever happens, it is reported and stops no other project.

    Args:
        project: The project.
        work: Makes its report; while it does, all tasks share the project's connections.
        in_trouble: Makes its report where that cannot be done.
    """
    if project.credentials is None:
        return in_trouble(project.error)
    try:
        async with project.credentials.get_client():  # held open, or each task would have its own
            return await work(project.credentials)
    except HetznerCloudError as error:
        return in_trouble(ErrorInfo.of(error))
    except Exception as error:  # noqa: BLE001 - a defect of ours, or the Prefect server went away
        run_logger().exception("Project '%s': the run broke", project.name)
        return in_trouble(ErrorInfo.of(error))


def end(state: State[T]) -> T:
    """A state that a flow returns becomes its run's own; who calls the flow gets the state's data."""
    return cast("T", state)


def with_unpublished(message: str, reason: str) -> str:
    """Append to a final state's message why the report could not be published; nothing if it was."""
    return f"{message.removesuffix('.')}. The report could not be published: {reason}" if reason else message
