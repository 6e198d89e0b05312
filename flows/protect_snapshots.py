"""Protect every snapshot from deletion, and wait until each resulting action has succeeded."""

if __name__ == "__main__":  # before Prefect is imported: invalid settings fail there
    import sys

    from cli.app import main

    main(["protect", *sys.argv[1:]])

import asyncio

from prefect import flow
from prefect.states import Failed

from blocks.projects import load_projects
from blocks.snapshot_policy import load_policy
from flows._conclusion import finish_run
from flows._form_fields import TimeoutSeconds
from flows._project_task_runs import protect_project_in_task_run
from flows._projects import are_many, for_each_project
from flows._protect_project import ProtectionOptions, protect_project
from flows._requirements import RunRequirements
from flows._run_context import exclude_imports_from_collection, is_deployed, returned_state
from flows._run_names import protection_run_name
from hetzner_cloud.environment import check_environment
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.validation import validate_label_selector, validate_timeout
from snapshot_protection.protection_report import ProtectionReport

_MAX_GROUPS = 50  # task runs that change snapshots: a graph of 2,000 nodes helps no one


@flow(name="protect-snapshots", flow_run_name=protection_run_name, retries=0, retry_delay_seconds=0)
async def protect_snapshots(
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    projects: list[str] = [],  # noqa: B006 - the UI's form needs a list to add to; it is never changed
    label_selector: str = "",
    timeout_seconds: TimeoutSeconds = 900,
    policy: str = "default",
) -> ProtectionReport:
    """Protect every snapshot from deletion that the policy does not exempt, wait for the actions, and verify.

    Needs a saved Hetzner Cloud Credentials block for each project, with a Read & Write token.
    Run twice, it changes nothing the second time.

    Args:
        dry_run: Only report what would be protected; change nothing.
        projects: The names of the credentials blocks to use. Empty: every saved one.
        label_selector: Only snapshots with these labels, e.g. env=prod or protect!=no. Empty: all.
        timeout_seconds: How long to wait for the actions after the last one was started.
        policy: The name of the Snapshot Policy block that defines which snapshots need no protection. If no
            default is saved, every snapshot must be protected.

    Returns:
        The report, with exactly one outcome for each snapshot, if nothing failed and nothing is unfinished.

    Raises:
        SnapshotsNotProtectedError: Something failed or is unfinished; `report` tells what.
        InvalidArgumentError: A parameter or the policy is not usable; no request was sent.
    """
    exclude_imports_from_collection()
    try:
        check_environment()
        selector, timeout_seconds = validate_label_selector(label_selector), validate_timeout(timeout_seconds)
        named_policy, chosen = await asyncio.gather(
            load_policy(policy), load_projects(projects, deployed=is_deployed())
        )
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))
    order = ProtectionOptions(
        selector,
        dry_run,
        timeout_seconds,
        max_groups=max(1, _MAX_GROUPS // len(chosen)),
        show_progress=not are_many(chosen),
        requirements=RunRequirements.of(named_policy, chosen),
    )
    protect = protect_project_in_task_run if are_many(chosen) else protect_project
    reports = await for_each_project(chosen, lambda project: protect(project, order))
    return await finish_run(
        ProtectionReport(dry_run=dry_run, projects=tuple(reports), label_selector=selector)
    )
