"""Audit the protection of every snapshot: what is protected, what is not, and what has changed."""

if __name__ == "__main__":  # before Prefect is imported: invalid settings fail there
    import sys

    from cli.app import main

    main(["audit", *sys.argv[1:]])

import asyncio
from datetime import UTC, datetime

from prefect import flow
from prefect.states import Completed, Failed

from blocks.snapshot_policy import load_policy
from flows._audit_project import AuditOptions, audit_project, read_together
from flows._audited_projects import load_audited_projects
from flows._conclusion import with_unpublished
from flows._form_fields import GraceHours
from flows._projects import for_each_project
from flows._run_context import (
    exclude_imports_from_collection,
    has_deployment_values,
    is_deployed,
    returned_state,
)
from flows._run_names import audit_run_name
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.environment import check_environment
from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.validation import validate_label_selector
from records.baselines import BaselineStore
from records.interrupted_runs import find_interrupted_runs
from records.prefect_errors import describe_prefect_error
from reporting.artifacts import publish
from reporting.events import emit_audited, emit_missing, emit_unprotected
from reporting.run_logging import log_report, run_logger
from snapshot_protection.audit_duplicates import merge_duplicates
from snapshot_protection.audit_report import AuditFailedError, AuditReport
from snapshot_protection.parameters import validate_grace
from snapshot_protection.rendering import render_audit_report


@flow(name="audit-snapshot-protection", flow_run_name=audit_run_name, retries=0, retry_delay_seconds=0)
async def audit_snapshot_protection(
    projects: list[str] = [],  # noqa: B006 - the UI's form needs a list to add to; it is never changed
    label_selector: str = "",
    grace_hours: GraceHours = 0,
    fail_on_unprotected: bool = False,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    policy: str = "default",
) -> AuditReport:
    """Report which snapshots are protected from deletion, and what has changed since the last audit.

    Changes nothing. Needs a saved Hetzner Cloud Credentials block for each project; a read-only token is
    enough.

    Args:
        projects: The names of the credentials blocks to use. Empty: every saved one.
        label_selector: Only snapshots with these labels, e.g. env=prod or protect!=no. Empty: all.
        grace_hours: Unprotected snapshots younger than this are listed, and not counted.
        fail_on_unprotected: End as Failed if any snapshot that counts is unprotected.
        policy: The name of the saved policy that defines which snapshots must be protected. Without a saved
            one named default: all.

    Returns:
        The report, with exactly one finding for each snapshot, if every project and snapshot could be read;
        the name of the Completed state says what needs attention: Unprotected, Missing, or Baseline lost.

    Raises:
        AuditFailedError: A project or a snapshot could not be read, or snapshots are unprotected and that was
            to fail; `report` has the details.
        InvalidArgumentError: A parameter is not usable; no request was sent.
    """
    exclude_imports_from_collection()
    try:
        check_environment()
        selector, grace_hours = validate_label_selector(label_selector), validate_grace(grace_hours)
        followed, covered = await asyncio.gather(
            load_policy(policy), load_audited_projects(projects, deployed=is_deployed())
        )
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))
    chosen, began = covered.projects, datetime.now(UTC)
    options = AuditOptions(
        BaselineStore(selector), selector, grace_hours, followed, policy, read_together(chosen)
    )
    audits = await for_each_project(chosen, lambda project: audit_project(project, options))
    endpoints = {one.name: normalize_endpoint(one.credentials.endpoint) for one in chosen if one.credentials}
    report = AuditReport(
        audited=began,
        projects=tuple(merge_duplicates(audits, endpoints)),
        label_selector=selector,
        grace_hours=grace_hours,
        policy=followed,
        interrupted=await find_interrupted_runs(),
        note=await covered.record(),
        is_record_unreadable=covered.is_record_unreadable,
    )
    return await _finish_audit(report, options.baselines, fail_on_unprotected=fail_on_unprotected)


async def _finish_audit(
    report: AuditReport, baselines: BaselineStore, *, fail_on_unprotected: bool
) -> AuditReport:
    rendered = render_audit_report(report)
    log_report(rendered)
    unpublished = await publish(rendered)
    unemitted = _emit_findings(report)  # after publishing, which waits for the server
    unreported = {*unpublished, *unemitted}
    published = [  # of two tokens of one project, the table of the first one has the findings of both
        one for one in report.projects if not unreported & {"", one.project, one.duplicate_of}
    ]
    unstored = await baselines.save(published)
    if report.succeeded and not (unreported or unstored):
        await _emit_if_whole(report)
    message = with_unpublished(rendered.message, unpublished, unstored, unemitted)
    if not report.succeeded or (fail_on_unprotected and report.unprotected):
        return returned_state(Failed(message=message, data=AuditFailedError(report)))
    return returned_state(Completed(name=report.state_name, message=message, data=report))


def _emit_findings(report: AuditReport) -> dict[str, str]:
    """Emit the events of projects with findings; returns by project why that failed."""
    unemitted = {}
    for project in report.distinct:
        try:
            if project.unprotected:
                emit_unprotected(project)
            if project.missing_protected:
                emit_missing(project)
        except Exception as error:  # noqa: BLE001 - it is returned; it stops no other project
            unemitted[project.project] = describe_prefect_error(error)
    return unemitted


async def _emit_if_whole(report: AuditReport) -> None:
    """Emit what docs/automations/missed-audit.yaml waits for, unless only a part was to be audited."""
    try:
        if await has_deployment_values("projects", "label_selector"):
            emit_audited(report)
    except Exception as error:  # noqa: BLE001 - the audit is done, and its findings are published
        run_logger().warning("Not reported as a complete audit: %s", describe_prefect_error(error))
