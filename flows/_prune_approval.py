"""From the projects of a prune run to the plan that is applied: planned, approved, and planned again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from prefect.runtime import flow_run

from blocks.projects import Project
from flows._approval import request_approval
from flows._observe_project import PruneOptions, observe_projects
from flows._prune_observation import Observation
from hetzner_cloud.errors import InvalidArgumentError
from records.approval_requests import has_suspended, load_request, save_request
from reporting.run_logging import run_logger
from snapshot_protection.prune_pages import render_form, render_plan
from snapshot_protection.prune_plan import (
    PruneApprovalRequest,
    PrunePlan,
    describe_differences,
    make_prune_plan,
    select_approved,
)
from snapshot_protection.unprotect_plan import APPROVAL_HOURS, MAX_ATTEMPTS
from snapshot_protection.wording import first_ones

_ARTIFACT = "snapshot-prune-plan"
_NAMED_IN_MESSAGE = 5


@dataclass(frozen=True)
class PruneDecision:
    """What was decided on a plan.

    Attributes:
        plan: What was approved, without what is no longer planned.
        observed: The projects as they were seen for this plan.
        decided_by: Who decided, as stated; empty where no approval was required.
        rejected: Whether it must not be applied.
    """

    plan: PrunePlan
    observed: Sequence[Observation] = ()
    decided_by: str = ""
    rejected: bool = False


@dataclass(frozen=True)
class PruneApproval:
    """Plans, and requests approval, of one flow run, which starts from the top each time it is resumed."""

    projects: Sequence[Project]
    options: PruneOptions
    flow_run_id: UUID

    async def decide(self, *, with_approval: bool) -> PruneDecision:
        """Return the plan to apply; where approval is required, the run suspends before it returns.

        Raises:
            InvalidArgumentError: The plan changed too often.
        """
        asked = await self._load() if with_approval else None
        return await (self._ask(asked) if asked else self._begin(with_approval=with_approval))

    async def _load(self) -> PruneApprovalRequest | None:
        """Load what this run was resumed for; None at its start, and when it is retried."""
        asked = await load_request(_ARTIFACT, self.flow_run_id, PruneApprovalRequest.load)
        if asked is None or asked.used or not await has_suspended(asked.key, self.flow_run_id):
            return None
        return asked

    async def _begin(self, *, with_approval: bool) -> PruneDecision:
        observed, plan = await self._plan()
        request = PruneApprovalRequest(plan=plan, attempt=1, key=self._key(plan, 1))
        if plan.snapshots and with_approval:
            return await self._ask_first(request)
        return await self._use(request, PruneDecision(plan, observed))

    async def _ask_first(self, request: PruneApprovalRequest) -> PruneDecision:
        """Store what is requested before the process ends, and suspend."""
        request = request.model_copy(update={"requested": self.options.clock()})
        await self._publish(request)
        return await self._ask(request)

    async def _ask(self, request: PruneApprovalRequest) -> PruneDecision:
        """Suspend; in the run that was resumed, act on the answer."""
        answer = await request_approval(request.key, render_form(request))
        if answer is None:
            return await self._begin(with_approval=True)
        if answer.decision == "reject":
            await self._publish(request.model_copy(update={"used": True}))
            return PruneDecision(request.plan, decided_by=answer.stated_name, rejected=True)
        return await self._use_if_nothing_is_new(request, answer.stated_name)

    async def _use_if_nothing_is_new(self, asked: PruneApprovalRequest, approved_by: str) -> PruneDecision:
        observed, plan = await self._plan()
        approved = select_approved(asked.plan, plan)
        is_late = self._is_late(asked)
        if len(approved) == len(plan.snapshots) and not (is_late and approved):
            # what is no longer planned needs no approval
            plan = plan.model_copy(update={"snapshots": approved})
            return await self._use(asked, PruneDecision(plan, observed, approved_by))
        late = [f"it was requested more than {APPROVAL_HOURS} hours ago"] if is_late else []
        differences = (*late, *describe_differences(asked.plan, plan))
        named = "; ".join(first_ones(differences, _NAMED_IN_MESSAGE))
        run_logger().warning("The plan differs from the approved plan: %s", named)
        if asked.attempt == MAX_ATTEMPTS:
            text = f"The plan changed {MAX_ATTEMPTS} times before it could be applied; nothing was changed"
            raise InvalidArgumentError(f"{text}: {named}.")
        attempt = asked.attempt + 1
        key = self._key(plan, attempt)
        return await self._ask_first(
            PruneApprovalRequest(plan=plan, attempt=attempt, key=key, differences=differences)
        )

    def _is_late(self, asked: PruneApprovalRequest) -> bool:
        """Return whether it was requested so long ago that an answer to it is none any more."""
        age = self.options.clock() - asked.requested if asked.requested else timedelta(0)
        return age > timedelta(hours=APPROVAL_HOURS)

    async def _use(self, request: PruneApprovalRequest, decision: PruneDecision) -> PruneDecision:
        """Store that the approval is used before anything is changed: it is good for one try."""
        await self._publish(request.model_copy(update={"used": True}))
        return decision

    async def _plan(self) -> tuple[list[Observation], PrunePlan]:
        observed = await observe_projects(self.projects, self.options)
        policy, limits = self.options.requirements.policy, self.options.limits
        return observed, make_prune_plan(policy, limits, (one.planned for one in observed))

    async def _publish(self, request: PruneApprovalRequest) -> None:
        await save_request(_ARTIFACT, request, render_plan(request))

    @staticmethod
    def _key(plan: PrunePlan, attempt: int) -> str:
        """Name a request for approval; the run count makes it new for a run that is retried."""
        return f"{plan.digest[:16]}-{flow_run.run_count}-{attempt}"
