"""Removing protection from the snapshots of a plan: write ahead, change, wait, verify."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

from blocks.credentials import HetznerCloudCredentials
from flows._changes import wait_for_changes
from flows._write_ahead import WriteAhead
from hetzner_cloud.errors import HetznerCloudError, InvalidResponseError
from hetzner_cloud.models import Image
from hetzner_cloud.validation import validate_timeout
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangeResult
from snapshot_protection.parameters import validate_exemption_hours, validate_image_ids, validate_reason
from snapshot_protection.tracking import Deleted, Sighting, Unknown, see
from snapshot_protection.unprotect_plan import UnprotectPlan, make_plan
from snapshot_protection.unprotect_report import UnprotectReport, determine_outcomes
from tasks.image_actions import change_image_protection
from tasks.protection import get_unlisted_images

_MAX_CONCURRENT_CHANGES = 10
_EXPIRED = ErrorInfo(code="exemption_expired", message="not requested: its exemption had expired before")


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
                f"Snapshot {image_id} could not be read, so nothing was changed: "
                f"{image.message.removesuffix('.')}. Run it again.",
                image.code,
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
        ahead = WriteAhead(self.plan, self.approved_by, self.flow_run_id, self.key, until)
        protects_again = await ahead.record() if self.plan.exempted else ""
        changes = await self._request_changes(until)
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
        report = UnprotectReport(
            plan=self.plan,
            outcomes=outcomes,
            until=until,
            approved_by=self.approved_by,
            protects_again=protects_again,
        )
        return await _settle(report, ahead)

    async def _request_changes(self, until: datetime) -> list[ChangeResult]:
        limiter = asyncio.Semaphore(_MAX_CONCURRENT_CHANGES)

        async def request(image_id: int) -> ChangeResult:
            async with limiter:
                return await self._request_change(image_id, until)

        todo = [planned.image_id for planned in self.plan.snapshots if planned.change == "unprotect"]
        return await asyncio.gather(*map(request, todo))

    async def _request_change(self, image_id: int, until: datetime) -> ChangeResult:
        if datetime.now(UTC) >= until:  # this process, or its machine, was halted
            return ChangeResult(image_id=image_id, error=_EXPIRED)
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


async def _settle(report: UnprotectReport, ahead: WriteAhead) -> UnprotectReport:
    """Leave no exemption for what stayed protected, and nothing unprotected that nothing protects again."""
    if kept := {one.snapshot.image_id for one in report.outcomes if one.stayed_protected}:
        await ahead.withdraw(kept)
    if datetime.now(UTC) < report.until or not any(one.is_exempt for one in report.outcomes):
        return report
    return report.model_copy(update={"protects_again": await ahead.schedule_again()})


def _sighting(found: Image | ErrorInfo | None) -> Sighting:
    match found:
        case None:
            return Deleted()
        case ErrorInfo():
            return Unknown(found)
        case _:
            return see(found)
