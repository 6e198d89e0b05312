"""Audit the protection of every snapshot: what is protected, what is not, and what has changed."""

import sys
from datetime import UTC, datetime

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from blocks.projects import load_projects
from flows._audit_project import AuditOptions, audit_project
from flows._projects import end, for_each_project, is_deployed, run_name, with_unpublished
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.validation import validate_grace, validate_label_selector
from records.interrupted_runs import find_interrupted_runs
from reporting.audit_artifacts import publish_audit, store_baselines
from reporting.events import emit_unprotected
from reporting.run_logging import run_logger
from snapshot_protection.audit_report import (
    AuditFailedError,
    AuditReport,
    describe,
    format_message,
    mark_duplicates,
)


def _run_name() -> str:
    return run_name("audit", flow_run.parameters["projects"])


@flow(name="audit-snapshot-protection", flow_run_name=_run_name, retries=0, retry_delay_seconds=0)
async def audit_snapshot_protection(
    projects: list[str] = [],  # noqa: B006 - the UI's form needs a list to add to; it is never changed
    label_selector: str = "",
    grace_hours: float = 0,
    fail_on_unprotected: bool = False,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
) -> AuditReport:
    """Look which snapshots are protected from deletion, and what has changed since the last audit.

    Changes nothing. Needs a saved Hetzner Cloud Credentials block for each project; a token that may only
    read is enough.

    Args:
        projects: The names of the credentials blocks to take. Empty: every saved one.
        label_selector: Only snapshots with these labels, e.g. env=prod or protect!=no. Empty: all.
        grace_hours: Unprotected snapshots younger than this are listed, and not pluralize.
        fail_on_unprotected: End as Failed if any snapshot that counts is unprotected.

    Returns:
        The report, with exactly one finding for each snapshot, if every project could be read.

    Raises:
        AuditFailedError: A project could not be read, or snapshots are unprotected and that was to fail;
            `report` tells which.
        InvalidArgumentError: A parameter is not usable; no request was sent.
    """
    try:
        selector, grace_hours = validate_label_selector(label_selector), validate_grace(grace_hours)
        chosen = await load_projects(projects, deployed=is_deployed())
    except HetznerCloudError as error:
        return end(Failed(message=str(error), data=error))
    options = AuditOptions(datetime.now(UTC), selector, grace_hours)
    audits = await for_each_project(chosen, lambda project: audit_project(project, options))
    endpoints = {one.name: one.credentials.endpoint for one in chosen if one.credentials}
    report = AuditReport(
        audited=options.now,
        projects=tuple(mark_duplicates(audits, endpoints)),
        label_selector=selector,
        grace_hours=grace_hours,
        interrupted=await find_interrupted_runs(),
    )
    return await _conclude(report, fail_on_unprotected=fail_on_unprotected)


async def _conclude(report: AuditReport, *, fail_on_unprotected: bool) -> AuditReport:
    for project, finding in report.with_protection_removed:
        run_logger().error("%s", describe(project, finding))
    unpublished = await publish_audit(report)
    for (
        project
    ) in report.distinct:  # here, for publishing waits while the server restarts, and an event is lost
        if project.unprotected:
            emit_unprotected(project)
    unpublished = unpublished or await store_baselines(report)
    if report.inaccessible or (fail_on_unprotected and report.unprotected):
        error = AuditFailedError(report)
        return end(Failed(message=with_unpublished(str(error), unpublished), data=error))
    return end(Completed(message=with_unpublished(format_message(report), unpublished), data=report))


if __name__ == "__main__":
    from cli.flow_commands import run_audit_snapshot_protection

    sys.exit(run_audit_snapshot_protection(audit_snapshot_protection))
