"""Audit the protection of every snapshot: what is protected, what is not, and what has changed."""

import sys
from datetime import UTC, datetime

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from blocks.projects import load_projects
from flows.audit_project import Scope, audit_project
from flows.runs import end, in_each, is_deployed, name_of_run, with_unpublished
from hetzner_cloud.arguments import check_grace, check_label_selector
from hetzner_cloud.audit_report import AuditFailedError, AuditReport, describe, marked_same, message_of
from hetzner_cloud.errors import HetznerCloudError
from tasks.audit_artifacts import publish_audit, store_baselines
from tasks.events import emit_unprotected
from tasks.interrupted_runs import find_interrupted_runs
from tasks.run_log import run_logger


def _run_name() -> str:
    return name_of_run("audit", flow_run.parameters["projects"])


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
        selector, grace_hours = check_label_selector(label_selector), check_grace(grace_hours)
        chosen = await load_projects(projects, deployed=is_deployed())
    except HetznerCloudError as error:
        return end(Failed(message=str(error), data=error))
    scope = Scope(datetime.now(UTC), selector, grace_hours)
    audits = await in_each(chosen, lambda project: audit_project(project, scope))
    endpoints = {one.name: one.credentials.endpoint for one in chosen if one.credentials}
    report = AuditReport(
        audited=scope.now,
        projects=tuple(marked_same(audits, endpoints)),
        label_selector=selector,
        grace_hours=grace_hours,
        interrupted=await find_interrupted_runs(),
    )
    return await _conclude(report, fail_on_unprotected=fail_on_unprotected)


async def _conclude(report: AuditReport, *, fail_on_unprotected: bool) -> AuditReport:
    for project, finding in report.lifted:
        run_logger().error("%s", describe(project, finding))
    unpublished = await publish_audit(report)
    for (
        project
    ) in report.distinct:  # here, for publishing waits while the server restarts, and an event is lost
        if project.unprotected:
            emit_unprotected(project)
    unpublished = unpublished or await store_baselines(report)
    if report.unread or (fail_on_unprotected and report.unprotected):
        error = AuditFailedError(report)
        return end(Failed(message=with_unpublished(str(error), unpublished), data=error))
    return end(Completed(message=with_unpublished(message_of(report), unpublished), data=report))


if __name__ == "__main__":
    from flows.command_line import run_audit_snapshot_protection

    sys.exit(run_audit_snapshot_protection(audit_snapshot_protection))
