"""Protect every snapshot from deletion, and wait until each resulting action has succeeded."""

import sys

from prefect import flow
from prefect.states import Failed

from blocks.projects import load_projects
from flows.conclusion import conclude
from flows.protect_project import Order, protect_project
from flows.runs import are_many, end, in_each, is_deployed, name_of_protection
from hetzner_cloud.arguments import check_label_selector, check_timeout
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.report import ProtectionReport

_MOST_GROUPS = 50  # task runs that change snapshots: a graph of 2,000 nodes helps nobody


@flow(name="protect-snapshots", flow_run_name=name_of_protection, retries=0, retry_delay_seconds=0)
async def protect_snapshots(
    projects: list[str] = [],  # noqa: B006 - the UI's form needs a list to add to; it is never changed
    label_selector: str = "",
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    timeout_seconds: float = 900,
) -> ProtectionReport:
    """Protect every snapshot from deletion, wait for each resulting action, and verify.

    Needs a saved Hetzner Cloud Credentials block for each project, with a token that may read and write.
    Run twice, it changes nothing the second time.

    Args:
        projects: The names of the credentials blocks to take. Empty: every saved one.
        label_selector: Only snapshots with these labels, e.g. env=prod or protect!=no. Empty: all.
        dry_run: Only report what would be protected; change nothing.
        timeout_seconds: How long to wait for the actions after the last one was started.

    Returns:
        The report, with exactly one outcome for each snapshot, if nothing failed and nothing is unfinished.

    Raises:
        SnapshotsNotProtectedError: Something failed or is unfinished; `report` tells what.
        InvalidArgumentError: A parameter is not usable; no request was sent.
    """
    try:
        selector, timeout_seconds = check_label_selector(label_selector), check_timeout(timeout_seconds)
        chosen = await load_projects(projects, deployed=is_deployed())
    except HetznerCloudError as error:
        return end(Failed(message=str(error), data=error))
    order = Order(
        selector,
        dry_run,
        timeout_seconds,
        most_groups=max(1, _MOST_GROUPS // len(chosen)),
        show_progress=not are_many(chosen),
    )
    reports = await in_each(chosen, lambda project: protect_project(project, order))
    return await conclude(ProtectionReport(dry_run=dry_run, projects=tuple(reports)))


if __name__ == "__main__":
    from flows.command_line import run_protect_snapshots

    sys.exit(run_protect_snapshots(protect_snapshots))
