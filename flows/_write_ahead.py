"""What is recorded in Prefect before protection is removed: its exemption, and the run that ends it."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import signature
from json import JSONDecodeError
from typing import Any
from uuid import UUID

import httpx
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectException

from blocks.credentials import ENVIRONMENT
from blocks.missing_objects import is_missing
from flows.protect_snapshots import protect_snapshots
from hetzner_cloud.errors import HetznerCloudError
from records.exemptions import save_exemptions
from records.prefect_errors import describe_prefect_error
from reporting.run_logging import run_logger
from snapshot_protection.exemptions import Exemption, ExemptionRecord
from snapshot_protection.unprotect_plan import UnprotectPlan

_PROTECT = "protect-snapshots/on-demand"
_AFTER_EXPIRY = timedelta(minutes=1)
_PREFECT_ERRORS = (httpx.HTTPError, PrefectException, JSONDecodeError, RuntimeError)


class NotRecordedError(HetznerCloudError):
    """Something could not be recorded in Prefect, so no protection was removed."""


@contextmanager
def before_any_change(what: str) -> Iterator[None]:
    """Turn an error of Prefect's API into one that says that nothing was changed; `what` it kept from.

    The signal by which a run suspends passes: it is no `Exception`.

    Raises:
        NotRecordedError: The Prefect API failed; nothing was changed.
    """
    try:
        yield
    except HetznerCloudError:
        raise
    except _PREFECT_ERRORS as error:
        reason = describe_prefect_error(error)
        raise NotRecordedError(f"{what}, so nothing was changed: {reason}. Run it again.") from error


@dataclass(frozen=True)
class WriteAhead:
    """Records what a plan is applied with.

    Attributes:
        approved_by: Who approved it, as stated; empty where no approval was required.
        flow_run_id: Of the run in progress.
        key: Names this application of the plan: scheduled once, however often it is requested.
        until: When the exemptions expire.
    """

    plan: UnprotectPlan
    approved_by: str
    flow_run_id: UUID
    key: str
    until: datetime

    async def record(self) -> str:
        """Schedule what protects the snapshots again, then store the exemptions.

        Returns:
            How messages name the flow run that is scheduled; empty if none is.

        Raises:
            NotRecordedError: One of the two failed.
        """
        with before_any_change("The exemptions could not be recorded"):
            protects_again = await self._schedule_protection(self.until, self.key)
            await save_exemptions(ExemptionRecord(project=self.plan.project, exemptions=self._exemptions()))
        return protects_again

    async def withdraw(self, image_ids: Collection[int]) -> None:
        """Withdraw the exemptions of snapshots that stayed protected; where that fails, they expire.

        Otherwise an exemption would excuse that another user removes the protection.
        """
        withdrawn = tuple(one for one in self._exemptions() if one.image_id in image_ids)
        try:
            await save_exemptions(ExemptionRecord(project=self.plan.project, withdrawn=withdrawn))
        except Exception as error:  # noqa: BLE001 - what was done must be reported
            run_logger().error(
                "Exemptions of snapshots that stayed protected hold until %s UTC; not withdrawn: %s",
                f"{self.until:%Y-%m-%d %H:%M}",
                describe_prefect_error(error),
            )

    async def schedule_again(self) -> str:
        """Schedule the protection once more, as protection was removed when the exemptions had expired.

        The run that was scheduled for the expiry may have looked before that.
        """
        try:
            return await self._schedule_protection(datetime.now(UTC), f"{self.key}-again")
        except Exception as error:  # noqa: BLE001 - what was done must be reported
            run_logger().error("The protection could not be scheduled: %s", describe_prefect_error(error))
            return ""

    async def _schedule_protection(self, expiry: datetime, key: str) -> str:
        if self.plan.project == ENVIRONMENT:  # a run of a deployment has no token of this name
            return ""
        try:
            run = await arun_deployment(
                _PROTECT,
                parameters=_parameters(self.plan.project),
                scheduled_time=expiry + _AFTER_EXPIRY,
                timeout=0,
                as_subflow=False,
                idempotency_key=key,
            )
        except ObjectNotFound as error:
            if not is_missing(error):
                raise
            run_logger().warning(
                "There is no deployment %s: the next protection run protects them again.", _PROTECT
            )
            return ""
        return f"flow run '{run.name}' ({run.id})"

    def _exemptions(self) -> tuple[Exemption, ...]:
        return tuple(
            Exemption(
                image_id=planned.image_id,
                until=self.until,
                reason=self.plan.reason,
                approved_by=self.approved_by,
                flow_run_id=self.flow_run_id,
            )
            for planned in self.plan.exempted
        )


def _parameters(project: str) -> dict[str, Any]:
    """Give every parameter, with the flow's own default: an operator may have given the deployment others."""
    usual = {name: one.default for name, one in signature(protect_snapshots.fn).parameters.items()}
    return usual | {"projects": [project]}
