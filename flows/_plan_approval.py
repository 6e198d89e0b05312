"""From a request to the plan that is applied: planned, approved, and planned again after the approval."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from prefect.runtime import flow_run

from blocks.credentials import HetznerCloudCredentials
from flows._approval import request_approval
from flows._unprotect_project import UnprotectRequest, plan_unprotecting
from hetzner_cloud.errors import InvalidArgumentError
from records.approval_requests import has_suspended, load_request, save_request
from reporting.run_logging import run_logger
from snapshot_protection.unprotect_pages import render_form, render_plan
from snapshot_protection.unprotect_plan import (
    APPROVAL_HOURS,
    MAX_ATTEMPTS,
    ApprovalRequest,
    UnprotectPlan,
    describe_differences,
    describe_request,
    list_rejections,
)
from snapshot_protection.wording import first_ones

_NAMED_IN_MESSAGE = 5


@dataclass(frozen=True)
class Decision:
    """What was decided on a plan.

    Attributes:
        request: The plan, and the key under which it was approved.
        decided_by: Who did, as stated; empty where no approval was required.
        rejected: Whether it must not be applied.
    """

    request: ApprovalRequest
    decided_by: str = ""
    rejected: bool = False


@dataclass(frozen=True)
class PlanApproval:
    """Plans, and requests approval, of one flow run, which starts from the top each time it is resumed."""

    credentials: HetznerCloudCredentials
    request: UnprotectRequest
    flow_run_id: UUID

    async def decide(self, *, with_approval: bool) -> Decision:
        """Return the plan to apply; where approval is required, the run suspends before it returns.

        Raises:
            InvalidArgumentError: The plan names what protection cannot be removed from, or changed too often.
            HetznerCloudError: A snapshot could not be read.
        """
        asked = await self._load() if with_approval else None
        return await (self._ask(asked) if asked else self._begin(with_approval=with_approval))

    async def _load(self) -> ApprovalRequest | None:
        """Load what this run was resumed for; None at its start, and when it is retried."""
        asked = await load_request(self._artifact, self.flow_run_id, ApprovalRequest.load)
        if asked is None or asked.used or not await has_suspended(asked.key, self.flow_run_id):
            return None
        return asked

    async def _begin(self, *, with_approval: bool) -> Decision:
        plan = await self._plan()
        request = ApprovalRequest(plan=plan, attempt=1, key=self._key(plan, 1))
        if plan.exempted and with_approval:
            return await self._ask_first(request)
        return await self._use(request, "")

    async def _ask_first(self, request: ApprovalRequest) -> Decision:
        """Store what is requested before the process ends, and suspend."""
        request = request.model_copy(update={"requested": datetime.now(UTC)})
        await self._publish(request)
        run_logger().info(
            "%s. Approve or reject it with Resume on this run's page, within 24 hours; see the artifact %s.",
            describe_request(request.plan),
            self._artifact,
        )
        return await self._ask(request)

    async def _ask(self, request: ApprovalRequest) -> Decision:
        """Suspend; in the run that was resumed, act on the answer."""
        answer = await request_approval(request.key, render_form(request))
        if answer is None:
            return await self._begin(with_approval=True)
        if answer.decision == "reject":
            await self._publish(request.model_copy(update={"used": True}))
            return Decision(request, answer.stated_name, rejected=True)
        return await self._use_if_unchanged(request, answer.stated_name)

    async def _use_if_unchanged(self, asked: ApprovalRequest, approved_by: str) -> Decision:
        plan = await self._plan()
        differences = tuple(describe_differences(asked.plan, plan))
        if asked.is_late(datetime.now(UTC)):
            differences = (f"it was requested more than {APPROVAL_HOURS} hours ago", *differences)
        if not differences:
            return await self._use(asked, approved_by)
        named = "; ".join(first_ones(differences, _NAMED_IN_MESSAGE))
        run_logger().warning("The plan differs from the approved plan: %s", named)
        if asked.attempt == MAX_ATTEMPTS:
            text = f"The plan changed {MAX_ATTEMPTS} times before it could be applied; nothing was changed"
            raise InvalidArgumentError(f"{text}: {named}.")
        attempt = asked.attempt + 1
        key = self._key(plan, attempt)
        return await self._ask_first(
            ApprovalRequest(plan=plan, attempt=attempt, key=key, differences=differences)
        )

    async def _use(self, request: ApprovalRequest, approved_by: str) -> Decision:
        """Store that the approval is used before anything is changed: it is good for one try."""
        await self._publish(request.model_copy(update={"used": True}))
        return Decision(request, approved_by)

    async def _plan(self) -> UnprotectPlan:
        plan = await plan_unprotecting(self.credentials, self.request)
        if plan.rejected:
            await self._publish(ApprovalRequest(plan=plan, attempt=1, key="rejected", used=True))
            raise InvalidArgumentError(
                f"Protection cannot be removed, and nothing was changed: {list_rejections(plan.rejected)}."
            )
        return plan

    async def _publish(self, request: ApprovalRequest) -> None:
        await save_request(self._artifact, request, render_plan(request))

    @property
    def _artifact(self) -> str:
        return f"unprotect-plan-{self.request.project}"

    @staticmethod
    def _key(plan: UnprotectPlan, attempt: int) -> str:
        """Name a request for approval; the run count makes it new for a run that is retried."""
        return f"{plan.digest[:16]}-{flow_run.run_count}-{attempt}"
