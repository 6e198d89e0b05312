"""Remove the protection of snapshots on purpose: with a reason, approved by a second user, for some hours."""

from collections.abc import Sequence
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project, load_projects
from flows._conclusion import with_unpublished
from flows._form_fields import ExemptionHours, ImageIds, Reason, TimeoutSeconds
from flows._plan_approval import PlanApproval
from flows._run_context import is_deployed, returned_state
from flows._run_names import unprotect_run_name
from flows._unprotect_project import PlanRun, UnprotectRequest
from flows._write_ahead import before_any_change
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError
from records.prefect_errors import describe_prefect_error
from reporting.artifacts import publish
from reporting.events import PROTECTION_REMOVED, emit_protection_removed
from reporting.run_logging import log_report, run_logger
from snapshot_protection.unprotect_pages import render_unprotect_report
from snapshot_protection.unprotect_report import SnapshotsNotUnprotectedError, UnprotectReport


@flow(name="unprotect-snapshots", flow_run_name=unprotect_run_name, retries=0, retry_delay_seconds=0)
async def unprotect_snapshots(
    project: str,
    image_ids: ImageIds,
    reason: Reason,
    hours: ExemptionHours = 24,
    approval: bool = True,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    timeout_seconds: TimeoutSeconds = 900,
) -> UnprotectReport:
    """Remove the protection of some snapshots for a limited time, with a reason and a second user's approval.

    Plans, suspends until the plan is approved in the UI, plans again, and removes the protection. The
    snapshots are exempt for that time: protection runs leave them alone, and audits list them as exempt. Then
    they are protected again, unless they were deleted or a rule of the policy exempts them. Needs a
    Read & Write token.

    Args:
        project: The name of the credentials block.
        image_ids: The ids of the snapshots.
        reason: Why, in 10 characters or more; audits report it.
        hours: For how long, from more than 0 to 168.
        approval: Whether to suspend until a second user approves. Always, for a run of a deployment.
        timeout_seconds: How long to wait for the actions after the last one was started.

    Returns:
        The report, with one outcome for each id, if nothing failed and nothing is unfinished.

    Raises:
        SnapshotsNotUnprotectedError: Something failed or is unfinished; `report` tells what.
        InvalidArgumentError: A parameter is not usable; no request was sent.
    """
    try:
        request = UnprotectRequest.validate(project, image_ids, reason, hours, timeout_seconds)
        _validate_approval(required=approval, deployed=is_deployed())
        with before_any_change("The credentials could not be loaded"):
            credentials = _usable(await load_projects([project], deployed=is_deployed()))
        async with credentials.get_client():  # held open, or each task would have its own
            return await _run(credentials, request, with_approval=approval)
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))


async def _run(
    credentials: HetznerCloudCredentials, request: UnprotectRequest, *, with_approval: bool
) -> UnprotectReport:
    run_id = UUID(str(flow_run.id))
    with before_any_change("The plan could not be stored or approved"):
        decision = await PlanApproval(credentials, request, run_id).decide(with_approval=with_approval)
    if decision.rejected:
        text = f"Rejected by {decision.decided_by} (as stated); nothing was changed."
        return returned_state(Completed(name="Rejected", message=text))
    key = f"{run_id}-{decision.request.key}"
    plan, approved_by = decision.request.plan, decision.decided_by
    applying = PlanRun(credentials, plan, approved_by, run_id, key, request.timeout_seconds)
    return await _finish(await applying.apply())


async def _finish(report: UnprotectReport) -> UnprotectReport:
    rendered = render_unprotect_report(report)
    log_report(rendered)
    unpublished = await publish(rendered)
    message = with_unpublished(rendered.message, unpublished)
    if unemitted := _emit(report):
        message = f"{message.removesuffix('.')}. {unemitted}"
    if report.succeeded:
        return returned_state(Completed(message=message, data=report))
    return returned_state(Failed(message=message, data=SnapshotsNotUnprotectedError(report)))


def _emit(report: UnprotectReport) -> str:
    """Emit what the run did; returns why that failed, which changes nothing of what it did."""
    try:
        emit_protection_removed(report)
    except Exception as error:  # noqa: BLE001 - it is returned
        text = f"The event {PROTECTION_REMOVED} could not be emitted: {describe_prefect_error(error)}"
        run_logger().error("%s", text)
        return text
    return ""


def _validate_approval(*, required: bool, deployed: bool) -> None:
    if deployed and not required:
        raise InvalidArgumentError("A run of a deployment needs approval: start it with approval=True.")
    if required and not deployed:
        raise InvalidArgumentError(
            "Only a run of a deployment can wait for approval: start unprotect-snapshots/with-approval, "
            "or pass approval=False from a shell."
        )


def _usable(projects: Sequence[Project]) -> HetznerCloudCredentials:
    [project] = projects
    if project.credentials is None:
        reason = project.error.message if project.error else "it has no credentials"
        raise InvalidArgumentError(f"Project '{project.name}' cannot be used: {reason}.")
    return project.credentials
