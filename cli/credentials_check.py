"""Which projects are saved, and whether their tokens work."""

import asyncio
from collections.abc import Sequence

from blocks.project_errors import UNKNOWN, UNREADABLE
from blocks.projects import Project, load_projects
from cli.credentials import run_or_fail
from cli.project_results import (
    ProjectResult,
    Status,
    exit_status_of,
    print_results_json,
    report_each,
)
from cli.table_layout import Column, Row
from cli.tables import make_console, print_reasons, print_rows
from cli.token_trial import WRITE_ACCESS, find_rejection
from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection.joined_reasons import Reason

_COLUMNS = (Column("project"), Column("status"), Column("endpoint", optional=True))
_STATUSES: dict[str, Status] = {UNKNOWN: "not saved", UNREADABLE: "cannot be read"}


def list_credentials(*, as_json: bool = False) -> int:
    """Print the saved projects; returns the exit status, 0 only if each can be read."""
    return run_or_fail(lambda: _list(as_json=as_json), "Not listed", as_json=as_json)


def check_credentials(names: Sequence[str], *, as_json: bool = False) -> int:
    """Try the saved tokens; returns the exit status, 0 only if each works."""
    return run_or_fail(lambda: asyncio.run(_check(names, as_json=as_json)), "Not checked", as_json=as_json)


def _list(*, as_json: bool) -> int:
    try:
        projects = asyncio.run(load_projects(deployed=True))
    except InvalidArgumentError:  # none is saved
        projects = []
    results = [_result_of(project) for project in projects]
    if as_json:
        print_results_json(results)
    else:
        _print_list(results)
    return exit_status_of(results)


def _print_list(results: Sequence[ProjectResult]) -> None:
    console = make_console()
    rows = [Row({"project": one.project, "status": one.status, "endpoint": one.endpoint}) for one in results]
    print_rows(_COLUMNS, rows, console)
    print_reasons(
        (Reason(one.status, one.message, one.project, style="bold red") for one in results if one.message),
        console,
    )
    if not results:
        console.print("No project is saved.")


async def _check(names: Sequence[str], *, as_json: bool) -> int:
    projects = await load_projects(names, deployed=True)
    return await report_each(
        [project.name for project in projects],
        lambda place: _try(projects[place]),
        note=WRITE_ACCESS,
        as_json=as_json,
    )


async def _try(project: Project) -> ProjectResult:
    if project.credentials is None:
        return _result_of(project)
    endpoint = project.credentials.endpoint
    rejection = await find_rejection(project.credentials)
    status, message = rejection or ("works", "")
    return ProjectResult(project.name, status, message, endpoint)


def _result_of(project: Project) -> ProjectResult:
    if project.credentials:
        return ProjectResult(project.name, "saved", endpoint=project.credentials.endpoint)
    code, message = (project.error.code, project.error.message) if project.error else ("", "")
    return ProjectResult(project.name, _STATUSES.get(code, "invalid"), message)
