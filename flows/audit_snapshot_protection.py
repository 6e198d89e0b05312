"""Audit the protection of every snapshot: what is protected, what is not, and what has changed."""

import sys
from datetime import UTC, datetime

from prefect import flow
from prefect.states import Completed, Failed

from blocks.projects import load_projects
from flows._audit_project import AuditOptions, audit_project
from flows._conclusion import with_unpublished
from flows._projects import for_each_project
from flows._run_context import is_deployed, returned_state
from flows._run_names import audit_run_name
from hetzner_cloud.environment import check_environment
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.validation import validate_label_selector
from records.baselines import save_baselines
from records.interrupted_runs import find_interrupted_runs
from reporting.artifacts import publish, publishing_error
from reporting.events import emit_unprotected
from reporting.run_logging import log_report
from snapshot_protection.audit_report import AuditFailedError, AuditReport, mark_duplicates
from snapshot_protection.parameters import validate_grace
from snapshot_protection.rendering import render_audit_report


@flow(name="audit-snapshot-protection", flow_run_name=audit_run_name, retries=0, retry_delay_seconds=0)
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
        grace_hours: Unprotected snapshots younger than this are listed, and not counted.
        fail_on_unprotected: End as Failed if any snapshot that counts is unprotected.

    Returns:
        The report, with exactly one finding for each snapshot, if every project could be read.

    Raises:
        AuditFailedError: A project could not be read, or snapshots are unprotected and that was to fail;
            `report` tells which.
        InvalidArgumentError: A parameter is not usable; no request was sent.
    """
    try:
        check_environment()
        selector, grace_hours = validate_label_selector(label_selector), validate_grace(grace_hours)
        chosen = await load_projects(projects, deployed=is_deployed())
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))
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
    return await _finish_audit(report, fail_on_unprotected=fail_on_unprotected)


async def _finish_audit(report: AuditReport, *, fail_on_unprotected: bool) -> AuditReport:
    rendered = render_audit_report(report)
    log_report(rendered)
    unpublished = await publishing_error(publish(rendered))
    for (
        project
    ) in report.distinct:  # here: publishing waits while the server restarts, an event would be lost
        if project.unprotected:
            emit_unprotected(project)
    unpublished = unpublished or await publishing_error(save_baselines(report))
    message = with_unpublished(rendered.message, unpublished)
    if report.inaccessible or (fail_on_unprotected and report.unprotected):
        return returned_state(Failed(message=message, data=AuditFailedError(report)))
    return returned_state(Completed(message=message, data=report))


if __name__ == "__main__":
    from cli.app import app

    app(["audit", *sys.argv[1:]])
