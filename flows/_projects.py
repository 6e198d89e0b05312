"""Working on many projects at once, each isolated from the errors of the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import TypeVar

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project
from hetzner_cloud.errors import HetznerCloudError
from reporting.progress import ProgressArtifact
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.wording import pluralize

_MAX_CONCURRENT_PROJECTS = 200  # each has a connection open: a process may have about a thousand files
_MAX_PROGRESS_BARS = 20

T = TypeVar("T")


async def for_each_project(projects: Sequence[Project], work: Callable[[Project], Awaitable[T]]) -> list[T]:
    """Work on all projects at once, and return the results in the projects' order."""
    limiter = asyncio.Semaphore(_MAX_CONCURRENT_PROJECTS)
    finished = count(1)

    async def work_on(project: Project, progress: ProgressArtifact) -> T:
        async with limiter:
            result = await work(project)
        percent = 100 * next(finished) / len(projects)
        if are_many(projects):
            progress.show(percent)
        return result

    async with ProgressArtifact(pluralize(len(projects), "project")) as progress:
        return await asyncio.gather(*(work_on(project, progress) for project in projects))


def are_many(projects: Sequence[Project]) -> bool:
    """Return whether there are too many projects for a progress bar each."""
    return len(projects) > _MAX_PROGRESS_BARS


async def run_isolated(
    project: Project,
    work: Callable[[HetznerCloudCredentials], Awaitable[T]],
    report_error: Callable[[ErrorInfo | None], T],
) -> T:
    """Do one project's part of a run; an error is reported and stops no other project.

    Args:
        project: The project.
        work: Makes its report; while it does, all tasks share the project's connections.
        report_error: Makes its report where that cannot be done.
    """
    if project.credentials is None:
        return report_error(project.error)
    try:
        async with project.credentials.get_client():  # held open, or each task would have its own
            return await work(project.credentials)
    except HetznerCloudError as error:
        return report_error(ErrorInfo.of(error))
    except Exception as error:  # noqa: BLE001 - a defect of ours, or the Prefect server went away
        run_logger().exception("Project '%s': the run failed", project.name)
        return report_error(ErrorInfo.of(error))
