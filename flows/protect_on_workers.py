"""Protect the snapshots of many projects in flow runs of their own, on all the workers of the work pool."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling, Failed

from blocks.projects import find_projects
from flows._conclusion import finish_run
from flows._run_context import returned_state
from flows._run_names import protection_on_workers_run_name
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError
from hetzner_cloud.validation import validate_label_selector, validate_timeout
from records.batch_reports import find_report
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.parameters import validate_count
from snapshot_protection.protection_report import ProjectReport, ProtectionReport
from snapshot_protection.wording import pluralize

_BATCH = "protect-snapshots/batch"
_MAX_STARTS = 3
_PATIENCE_SECONDS = 3 * 3600.0  # beyond the wait for actions: changes, retries, a rate limit, busy workers
_POLL_SECONDS = 2.0


@flow(
    name="protect-on-workers", flow_run_name=protection_on_workers_run_name, retries=0, retry_delay_seconds=0
)
async def protect_on_workers(
    projects: list[str] = [],  # noqa: B006 - the UI's form needs a list to add to; it is never changed
    label_selector: str = "",
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    timeout_seconds: float = 900,
    projects_per_run: int = 10,
    max_concurrent_runs: int = 4,
) -> ProtectionReport:
    """Protect every snapshot of many projects: some projects a flow run, on any worker, and one report.

    Needs what protect-snapshots needs, and its deployment `batch`. A run whose worker dies is started again;
    what is done it leaves as it is.

    Args:
        projects: The names of the credentials blocks to take. Empty: every saved one.
        label_selector: Only snapshots with these labels, e.g. env=prod or protect!=no. Empty: all.
        dry_run: Only report what would be protected; change nothing.
        timeout_seconds: How long each project's run waits for the actions after the last one was started.
        projects_per_run: How many projects have a flow run together.
        max_concurrent_runs: How many of these runs are under way at once.

    Returns:
        The report of all, with one outcome for each snapshot, if nothing failed and nothing is unfinished.

    Raises:
        SnapshotsNotProtectedError: Something failed or is unfinished; `report` tells what.
        InvalidArgumentError: A parameter is not usable, or there is no such deployment; nothing was started.
    """
    try:
        parameters = {
            "label_selector": validate_label_selector(label_selector),
            "dry_run": dry_run,
            "timeout_seconds": validate_timeout(timeout_seconds),
        }
        size = validate_count(projects_per_run, "projects in a run")
        places = asyncio.Semaphore(validate_count(max_concurrent_runs, "runs at once"))
        names = await find_projects(projects)
        await _check_deployed()
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))
    batches = [_Batch(names[at : at + size], parameters) for at in range(0, len(names), size)]
    run_logger().info("%s in %s", pluralize(len(names), "project"), pluralize(len(batches), "run"))
    try:
        reports = await asyncio.gather(*(one.protect(places) for one in batches))
    except asyncio.CancelledError:
        await _cancel_runs()
        raise
    return await finish_run(
        ProtectionReport(
            dry_run=dry_run,
            projects=tuple(project for report in reports for project in report),
            label_selector=parameters["label_selector"],
        )
    )


@dataclass(frozen=True)
class _Batch:
    """Some projects that have a flow run together."""

    projects: Sequence[str]
    parameters: Mapping[str, Any]

    async def protect(self, places: asyncio.Semaphore) -> list[ProjectReport]:
        """Have them protected; whatever becomes of the run, each project is reported once."""
        async with places:
            try:
                known, lost = await self._run()
            except Exception as error:  # noqa: BLE001 - the Prefect server went away; no other batch is stopped
                run_logger().exception("The run of %s cannot be followed", ", ".join(self.projects))
                known, lost = {}, ErrorInfo.of(error)
        return [known.get(name) or ProjectReport(project=name, error=lost) for name in self.projects]

    async def _run(self) -> tuple[Mapping[str, ProjectReport], ErrorInfo]:
        starts = 0
        while True:
            starts += 1
            run = await arun_deployment(
                _BATCH,
                parameters={**self.parameters, "projects": list(self.projects)},
                timeout=self.parameters["timeout_seconds"] + _PATIENCE_SECONDS,
                poll_interval=_POLL_SECONDS,
            )
            report = await find_report(run.id)
            if report or not (run.state and run.state.is_crashed()) or starts == _MAX_STARTS:
                break
            run_logger().warning("%s. Starting it again.", _lost(run).message)
        known = {project.project: project for project in report.projects} if report else {}
        return known, _lost(run)


def _lost(run: FlowRun) -> ErrorInfo:
    state = f"{run.state.name}: {run.state.message or '-'}" if run.state else "without a state"
    message = f"the flow run '{run.name}' ({run.id}) left no report: it is {state}"
    return ErrorInfo(code="report_missing", message=message)


async def _check_deployed() -> None:
    async with get_client() as client:
        try:
            await client.read_deployment_by_name(_BATCH)
        except ObjectNotFound:
            raise InvalidArgumentError(f"There is no deployment {_BATCH}: run `make deploy`.") from None


async def _cancel_runs() -> None:
    """Cancel the runs that this one has started and that are under way."""
    wanted = FlowRunFilter.model_validate(
        {
            "parent_flow_run_id": {"any_": [UUID(str(flow_run.id))]},
            "state": {"type": {"not_any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING"]}},
        }
    )
    async with get_client() as client:
        for run in await client.read_flow_runs(flow_run_filter=wanted):
            await client.set_flow_run_state(run.id, Cancelling(), force=True)
            run_logger().warning("Cancelled with this run: flow run '%s' (%s)", run.name, run.id)
