"""A project's part of a protection run in one task run.

In a run of many projects, a graph of all requests helps no one, and costs more than the requests.
"""

from dataclasses import dataclass
from typing import cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import opaque

from blocks.projects import Project
from flows._protect_project import ProtectionOptions, protect_project
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.protection_report import (
    ProjectReport,
    ProtectionReport,
    SnapshotsNotProtectedError,
)
from tasks.task_run_names import parameter


@dataclass
class _Part:
    """A project's part of a run; its report is here, whatever becomes of the task run."""

    project: Project
    options: ProtectionOptions
    report: ProjectReport | None = None


async def protect_project_in_task_run(project: Project, options: ProtectionOptions) -> ProjectReport:
    """Do what `protect_project` does in a task run, which is Failed if not every snapshot is protected."""
    part, error = _Part(project, options), None
    try:
        await _protect_project(cast("_Part", opaque(part)))  # in which Prefect looks for no futures
    except Exception as failed:  # noqa: BLE001 - in the report, unless the task run broke before
        error = ErrorInfo.of(failed)
    return part.report or ProjectReport(project=project.name, error=error)


@task(
    name="protect-project",
    task_run_name=lambda: f"protect-{parameter('part').project.name}",
    cache_policy=NO_CACHE,
    retries=0,
)
async def _protect_project(part: _Part) -> None:
    part.report = await protect_project(part.project, part.options)
    report = ProtectionReport(dry_run=part.options.dry_run, projects=(part.report,))
    if not report.succeeded:
        raise SnapshotsNotProtectedError(report)
