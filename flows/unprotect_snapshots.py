"""Remove the protection of snapshots on purpose: with a reason, approved by a second person, for a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project, load_projects
from flows._approval import request_approval
from flows._conclusion import with_unpublished
from flows._run_context import is_deployed, returned_state
from flows._run_names import unprotect_run_name
from flows._unprotect_project import PlanRun, UnprotectRequest, plan_unprotecting
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError
from hetzner_cloud.sanitize import printable
from records.approval_requests import load_request, save_request
from reporting.artifacts import publish
from reporting.events import emit_protection_removed
from reporting.run_logging import log_report, run_logger
from snapshot_protection.unprotect_pages import render_form, render_plan, render_unprotect_report
from snapshot_protection.unprotect_plan import (
    MAX_ATTEMPTS,
    ApprovalRequest,
    UnprotectPlan,
    describe_differences,
    list_rejections,
)
from snapshot_protection.unprotect_report import SnapshotsNotUnprotectedError, UnprotectReport


@flow(name="unprotect-snapshots", flow_run_name=unprotect_run_name, retries=0, retry_delay_seconds=0)
async def unprotect_snapshots(
    project: str,
    image_ids: list[int],
    reason: str,
    hours: float = 24,
    approval: bool = True,  # noqa: FBT001, FBT002 - a flow's parameters come from a form, by name
    timeout_seconds: float = 900,
) -> UnprotectReport:
    """Remove the protection of some snapshots, for a time, with a reason and a second person's approval.

    Plans, suspends until someone approves the plan in the UI, plans again, and removes the protection. The
    snapshots are exempt for that time: protection runs leave them alone, and audits list them as exempt. Then
    they are protected again, unless they were deleted. Needs a token that may read and write.

    Args:
        project: The name of the credentials block.
        image_ids: The ids of the snapshots.
        reason: Why, in 10 characters or more; audits report it.
        hours: For how long, from more than 0 to 168.
        approval: Whether to suspend until a second person approves. Always, for a run of a deployment.
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
        credentials = _usable(await load_projects([project], deployed=is_deployed()))
        async with credentials.get_client():  # held open, or each task would have its own
            return await _Run(credentials, request, UUID(str(flow_run.id))).run(with_approval=approval)
    except HetznerCloudError as error:
        return returned_state(Failed(message=str(error), data=error))


@dataclass(frozen=True)
class _Run:
    credentials: HetznerCloudCredentials
    request: UnprotectRequest
    flow_run_id: UUID

    async def run(self, *, with_approval: bool) -> UnprotectReport:
        asked = await load_request(self._artifact, self.flow_run_id) if with_approval else None
        if asked is None or asked.used:  # an approval is good for one try: a run that is retried asks again
            return await self._begin(await self._plan(), with_approval=with_approval)
        return await self._ask(asked)

    async def _begin(self, plan: UnprotectPlan, *, with_approval: bool) -> UnprotectReport:
        request = ApprovalRequest(plan=plan, attempt=1, key=self._key(plan, 1))
        if plan.exempted and with_approval:
            return await self._ask_first(request)
        return await self._apply(request, "")

    async def _apply_if_unchanged(self, asked: ApprovalRequest, approved_by: str) -> UnprotectReport:
        plan = await self._plan()
        if plan.digest == asked.plan.digest:
            return await self._apply(asked, approved_by)
        differences = tuple(describe_differences(asked.plan, plan))
        run_logger().warning("The plan changed since it was approved: %s", "; ".join(differences))
        if asked.attempt == MAX_ATTEMPTS:
            text = f"The plan changed {MAX_ATTEMPTS} times before it could be applied; nothing was changed"
            raise InvalidArgumentError(f"{text}: {'; '.join(differences)}.")
        attempt = asked.attempt + 1
        key = self._key(plan, attempt)
        return await self._ask_first(
            ApprovalRequest(plan=plan, attempt=attempt, key=key, differences=differences)
        )

    async def _ask_first(self, request: ApprovalRequest) -> UnprotectReport:
        """Store what is requested before the process ends, and suspend."""
        await self._publish(request)
        return await self._ask(request)

    async def _ask(self, request: ApprovalRequest) -> UnprotectReport:
        """Suspend; in the run that was resumed, act on the answer."""
        answer = await request_approval(request.key, render_form(request))
        if answer is None:
            return await self._begin(await self._plan(), with_approval=True)
        if answer.decision == "reject":
            text = f"Rejected by {answer.approved_by} (as stated); nothing was changed."
            return returned_state(Completed(name="Rejected", message=text))
        return await self._apply_if_unchanged(request, answer.approved_by)

    async def _plan(self) -> UnprotectPlan:
        plan = await plan_unprotecting(self.credentials, self.request)
        if plan.rejected:
            await self._publish(ApprovalRequest(plan=plan, attempt=1, key="rejected", used=True))
            raise InvalidArgumentError(
                f"Protection cannot be removed, and nothing was changed: {list_rejections(plan.rejected)}."
            )
        return plan

    async def _apply(self, request: ApprovalRequest, approved_by: str) -> UnprotectReport:
        await self._publish(request.model_copy(update={"used": True}))
        applying = PlanRun(
            self.credentials,
            request.plan,
            printable(approved_by),
            self.flow_run_id,
            f"{self.flow_run_id}-{request.key}",
            self.request.timeout_seconds,
        )
        return await _finish(await applying.apply())

    async def _publish(self, request: ApprovalRequest) -> None:
        await save_request(self._artifact, request, render_plan(request))

    @property
    def _artifact(self) -> str:
        return f"unprotect-plan-{self.request.project}"

    @staticmethod
    def _key(plan: UnprotectPlan, attempt: int) -> str:
        """Name a request for approval; the run count makes it new for a run that is retried."""
        return f"{plan.digest[:16]}-{flow_run.run_count}-{attempt}"


async def _finish(report: UnprotectReport) -> UnprotectReport:
    rendered = render_unprotect_report(report)
    log_report(rendered)
    unpublished = await publish(rendered)
    emit_protection_removed(report)
    message = with_unpublished(rendered.message, unpublished)
    if report.succeeded:
        return returned_state(Completed(message=message, data=report))
    return returned_state(Failed(message=message, data=SnapshotsNotUnprotectedError(report)))


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
