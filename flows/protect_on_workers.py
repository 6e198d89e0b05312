"""Protect the snapshots of many projects in separate flow runs, on all workers of the work pool."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Failed

from blocks.projects import find_projects
from blocks.snapshot_policy import load_policy
from flows._batch import Batch, automatic_size
from flows._batch_decisions import Patience
from flows._batch_runs import BatchRuns
from flows._conclusion import finish_run
from flows._fan_out import FanOut
from flows._form_fields import Count, CountOrAutomatic, TimeoutSeconds
from flows._run_context import returned_state
from flows._run_names import protection_on_workers_run_name
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.validation import validate_label_selector, validate_timeout
from reporting.run_logging import run_logger
from snapshot_protection.parameters import validate_count
from snapshot_protection.protection_report import ProjectReport, ProtectionReport
from snapshot_protection.wording import pluralize


@flow(
    name="protect-on-workers", flow_run_name=protection_on_workers_run_name, retries=0, retry_delay_seconds=0
)
async def protect_on_workers(
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    projects: list[str] = [],  # noqa: B006 - the UI's form needs a list to add to; it is never changed
    label_selector: str = "",
    timeout_seconds: TimeoutSeconds = 900,
    projects_per_run: CountOrAutomatic = 0,
    max_concurrent_runs: Count = 4,
    policy: str = "default",
) -> ProtectionReport:
    """Protect every snapshot of many projects: some projects a flow run, on any worker, and one report.

    Needs what protect-snapshots needs, and its deployment `batch`. A run that ends without a report, or shows
    no progress for minutes, is started again, twice at most; protected snapshots are skipped. A run that
    sends heartbeats is waited for. What no worker takes is given up after three times `timeout_seconds` and
    an hour without any progress: it is cancelled, and reported.

    Args:
        dry_run: Only report what would be protected; change nothing.
        projects: The names of the credentials blocks to use. Empty: every saved one.
        label_selector: Only snapshots with these labels, e.g. env=prod or protect!=no. Empty: all.
        timeout_seconds: How long each project's run waits for the actions after the last one was started.
        projects_per_run: How many projects have a flow run together. 0: as many as make the runs equal, from
            25 to 200.
        max_concurrent_runs: How many of these runs are in progress at once.
        policy: The name of the Snapshot Policy block that defines which snapshots need no protection. If no
            default is saved, every snapshot must be protected.

    Returns:
        The report of all, with one outcome for each snapshot, if nothing failed and nothing is unfinished.

    Raises:
        SnapshotsNotProtectedError: Something failed or is unfinished; `report` tells what.
        InvalidArgumentError: A parameter or the policy is not usable, or there is no such deployment; nothing
            was started.
    """
    try:
        parameters = {
            "label_selector": validate_label_selector(label_selector),
            "dry_run": dry_run,
            "timeout_seconds": validate_timeout(timeout_seconds),
            "policy": policy,
        }
        await load_policy(policy)  # here only to fail before anything is started: each batch loads it by name
        size = validate_count(projects_per_run, "projects in a run", least=0)
        max_concurrent = validate_count(max_concurrent_runs, "runs at once")
        names = await find_projects(projects)
        size = size or automatic_size(len(names), max_concurrent)
        reports = await _protect(_split(names, size, parameters), timeout_seconds, max_concurrent)
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))
    report = ProtectionReport(
        dry_run=dry_run, projects=tuple(reports), label_selector=parameters["label_selector"]
    )
    return await finish_run(report)


def _split(names: Sequence[str], size: int, parameters: Mapping[str, Any]) -> list[Batch]:
    starts = enumerate(range(0, len(names), size), 1)
    batches = [Batch(number, names[at : at + size], parameters) for number, at in starts]
    run_logger().info("%s in %s", pluralize(len(names), "project"), pluralize(len(batches), "run"))
    return batches


async def _protect(
    batches: Sequence[Batch], timeout_seconds: float, max_concurrent: int
) -> list[ProjectReport]:
    async with get_client() as client:
        parent = UUID(flow_run.id) if flow_run.id else None
        runs = BatchRuns(client, parent, attempt=flow_run.run_count)
        await runs.check_deployed()
        fan_out = FanOut(runs, Patience.for_timeout(timeout_seconds), max_concurrent=max_concurrent)
        try:
            return await fan_out.protect(batches)
        except asyncio.CancelledError:
            await runs.cancel_all()
            raise
