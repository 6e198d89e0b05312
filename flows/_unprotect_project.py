"""Removing protection from the snapshots of a plan: write ahead, change, wait, verify."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound

from blocks.credentials import ENVIRONMENT, HetznerCloudCredentials
from flows._changes import wait_for_changes
from hetzner_cloud.errors import HetznerCloudError, InvalidResponseError
from hetzner_cloud.models import Image
from hetzner_cloud.validation import validate_timeout
from records.exemptions import save_exemptions
from records.prefect_errors import describe_prefect_error
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.exemptions import Exemption, ExemptionRecord
from snapshot_protection.outcomes import ChangeResult
from snapshot_protection.parameters import validate_exemption_hours, validate_image_ids, validate_reason
from snapshot_protection.tracking import Deleted, Sighting, Unknown, see
from snapshot_protection.unprotect_plan import UnprotectPlan, make_plan
from snapshot_protection.unprotect_report import UnprotectReport, determine_outcomes
from tasks.image_actions import change_image_protection
from tasks.protection import get_unlisted_images

_PROTECT = "protect-snapshots/on-demand"
_AFTER_EXPIRY = timedelta(minutes=1)
_MAX_CONCURRENT_CHANGES = 10


class NotRecordedError(HetznerCloudError):
    """What ends the exemptions could not be recorded in Prefect, so no protection was removed."""


@dataclass(frozen=True)
class UnprotectRequest:
    """What a run was started for.

    Attributes:
        hours: How long the snapshots may be unprotected.
        timeout_seconds: Bound of the wait for actions.
    """

    project: str
    image_ids: Sequence[int]
    reason: str
    hours: float
    timeout_seconds: float

    @classmethod
    def validate(
        cls, project: str, image_ids: object, reason: object, hours: object, timeout_seconds: object
    ) -> Self:
        """Make a request of a run's parameters.

        Raises:
            InvalidArgumentError: One of them is not usable; nothing was sent.
        """
        return cls(
            project,
            validate_image_ids(image_ids),
            validate_reason(reason),
            validate_exemption_hours(hours),
            validate_timeout(timeout_seconds),
        )


async def plan_unprotecting(credentials: HetznerCloudCredentials, request: UnprotectRequest) -> UnprotectPlan:
    """Look at each snapshot, and plan its change.

    Raises:
        HetznerCloudError: One of them could not be read.
    """
    look_up = get_unlisted_images.with_options(task_run_name=f"plan-{request.project}")
    found = await look_up(credentials, request.image_ids)
    images: dict[int, Image] = {}
    for image_id, image in found.items():
        if isinstance(image, ErrorInfo):
            raise InvalidResponseError(
                f"Snapshot {image_id} could not be read, so nothing was changed: {image.message}", image.code
            )
        images[image_id] = image
    return make_plan(request.project, request.image_ids, images, reason=request.reason, hours=request.hours)


@dataclass(frozen=True)
class PlanRun:
    """Applies a plan that was approved, or that needed no approval.

    Attributes:
        approved_by: Who approved it, as stated; empty where no approval was required.
        flow_run_id: Of the run in progress.
        key: Names this application of the plan: scheduled once, however often it is requested.
    """

    credentials: HetznerCloudCredentials
    plan: UnprotectPlan
    approved_by: str
    flow_run_id: UUID
    key: str
    timeout_seconds: float

    async def apply(self) -> UnprotectReport:
        """Remove the protection; before the first change it is on record what ends it.

        Raises:
            NotRecordedError: It could not be recorded; nothing was changed.
        """
        until = datetime.now(UTC) + timedelta(hours=self.plan.hours)
        protects_again = await self._write_ahead(until) if self.plan.exempted else ""
        changes = await self._request_changes()
        waited = await wait_for_changes(
            self.credentials,
            changes,
            max_groups=max(1, len(changes)),
            timeout_seconds=self.timeout_seconds,
            show_progress=True,
        )
        outcomes = determine_outcomes(
            self.plan, {change.image_id: change for change in changes}, waited, await self._verify()
        )
        return UnprotectReport(
            plan=self.plan,
            outcomes=outcomes,
            until=until,
            approved_by=self.approved_by,
            protects_again=protects_again,
        )

    async def _write_ahead(self, until: datetime) -> str:
        try:
            protects_again = await self._schedule_protection(until)
            await save_exemptions(self._exemptions(until))
        except Exception as error:
            reason = describe_prefect_error(error)
            raise NotRecordedError(
                f"The exemptions could not be recorded, so nothing was changed: {reason}. Run it again."
            ) from error
        return protects_again

    async def _schedule_protection(self, until: datetime) -> str:
        """Schedule the run that protects the snapshots again; return how messages name it."""
        if self.plan.project == ENVIRONMENT:  # a run of a deployment has no token of this name
            return ""
        try:
            run = await arun_deployment(
                _PROTECT,
                # all of them: an operator may have given the deployment others
                parameters={"projects": [self.plan.project], "label_selector": "", "dry_run": False},
                scheduled_time=until + _AFTER_EXPIRY,
                timeout=0,
                as_subflow=False,
                idempotency_key=self.key,
            )
        except ObjectNotFound:
            run_logger().warning(
                "There is no deployment %s: the next protection run protects them again.", _PROTECT
            )
            return ""
        return f"flow run '{run.name}' ({run.id})"

    def _exemptions(self, until: datetime) -> ExemptionRecord:
        exemptions = (
            Exemption(
                image_id=planned.image_id,
                until=until,
                reason=self.plan.reason,
                approved_by=self.approved_by,
                flow_run_id=self.flow_run_id,
            )
            for planned in self.plan.exempted
        )
        return ExemptionRecord(project=self.plan.project, exemptions=tuple(exemptions))

    async def _request_changes(self) -> list[ChangeResult]:
        limiter = asyncio.Semaphore(_MAX_CONCURRENT_CHANGES)

        async def request(image_id: int) -> ChangeResult:
            async with limiter:
                return await self._request_change(image_id)

        todo = [planned.image_id for planned in self.plan.snapshots if planned.change == "unprotect"]
        return await asyncio.gather(*map(request, todo))

    async def _request_change(self, image_id: int) -> ChangeResult:
        try:
            action = await change_image_protection(self.credentials, image_id, delete=False)
        except HetznerCloudError as error:
            return ChangeResult(image_id=image_id, error=ErrorInfo.of(error))
        except Exception as error:  # noqa: BLE001 - the task run broke: the verification decides
            return ChangeResult(image_id=image_id, error=ErrorInfo.of(error))
        run_logger().warning("Removing the protection of snapshot %d: %s", image_id, action)
        return ChangeResult(image_id=image_id, action=action)

    async def _verify(self) -> Mapping[int, Sighting]:
        image_ids = [planned.image_id for planned in self.plan.exempted]
        try:
            verify = get_unlisted_images.with_options(task_run_name=f"verify-{self.plan.project}")
            found = await verify(self.credentials, image_ids) if image_ids else {}
        except Exception as error:  # noqa: BLE001 - whatever it is, what was started must be reported
            return dict.fromkeys(image_ids, Unknown(ErrorInfo.of(error)))
        return {image_id: _sighting(found.get(image_id)) for image_id in image_ids}


def _sighting(found: Image | ErrorInfo | None) -> Sighting:
    match found:
        case None:
            return Deleted()
        case ErrorInfo():
            return Unknown(found)
        case _:
            return see(found)
