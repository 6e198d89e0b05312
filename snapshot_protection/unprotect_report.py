"""The report of a run that removes protection: one outcome for each id, by what was seen last. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.models import Action
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangeResult, WaitResult
from snapshot_protection.tracking import Deleted, Listed, Sighting, Unknown, action_error
from snapshot_protection.unprotect_plan import PlannedSnapshot, UnprotectPlan
from snapshot_protection.wording import pluralize

UnprotectOutcomeName = Literal["failed", "unfinished", "unprotected", "already_unprotected", "deleted"]
MOST_SEVERE_FIRST: tuple[UnprotectOutcomeName, ...] = UnprotectOutcomeName.__args__  # type: ignore[attr-defined]

_WITHOUT_EFFECT = ErrorInfo(code="still_protected", message="its action succeeded, but it is protected")
_PROTECTED_AGAIN = ErrorInfo(code="still_protected", message="another user protected it during the run")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class UnprotectOutcome(_Record):
    """The outcome for one id; `error` tells why it failed, or what went wrong before it did not.

    Attributes:
        is_protected: Whether it was protected when it was seen last.
    """

    snapshot: PlannedSnapshot
    outcome: UnprotectOutcomeName
    is_protected: bool = False
    error: ErrorInfo = ErrorInfo()
    action_id: int | None = None

    @property
    def needs_attention(self) -> bool:
        """Whether it failed or is unfinished."""
        return self.outcome in {"failed", "unfinished"}

    @property
    def stayed_protected(self) -> bool:
        """Whether this run left it protected: no exemption must excuse who removes its protection now."""
        return self.is_protected and self.outcome == "failed"

    @property
    def is_exempt(self) -> bool:
        """Whether it has an exemption when the run has finished."""
        return self.snapshot.is_exempted and not self.stayed_protected


class UnprotectReport(_Record):
    """The outcomes of a run that removed protection.

    Attributes:
        until: When the exemptions expire.
        approved_by: Who approved the plan, as stated; empty where no approval was required.
        protects_again: The flow run that is scheduled to protect the snapshots again; empty if none is.
    """

    plan: UnprotectPlan
    outcomes: tuple[UnprotectOutcome, ...]
    until: datetime
    approved_by: str = ""
    protects_again: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed and nothing is unfinished."""
        return not any(outcome.needs_attention for outcome in self.outcomes)

    @property
    def unprotected(self) -> list[UnprotectOutcome]:
        """What this run removed protection from."""
        return [outcome for outcome in self.outcomes if outcome.outcome == "unprotected"]


class SnapshotsNotUnprotectedError(HetznerCloudError):
    """Protection could not be removed from all snapshots; `report` has one outcome for each."""

    def __init__(self, report: UnprotectReport) -> None:
        super().__init__(format_message(report))
        self.report = report
        self.args = (report,)


def determine_outcomes(
    plan: UnprotectPlan,
    changes: Mapping[int, ChangeResult],
    waited: WaitResult,
    seen: Mapping[int, Sighting],
) -> tuple[UnprotectOutcome, ...]:
    """Determine the outcome for each id of a plan.

    Args:
        plan: What was applied.
        changes: What each request returned, by image id.
        waited: The results of the started actions.
        seen: What the verification saw of each id for which the plan has an exemption.
    """
    return tuple(
        _outcome(planned, changes.get(planned.image_id), waited, seen.get(planned.image_id, Deleted()))
        for planned in plan.snapshots
    )


def format_message(report: UnprotectReport) -> str:
    """Format the final state's message."""
    text, expiry = format_counts(report), format_expiry(report)
    text += f"; exempt {expiry}" if expiry else ""
    return text if report.succeeded else f"{text}. {next_step(report)}"


def format_counts(report: UnprotectReport) -> str:
    """Format how many snapshots have which outcome."""
    names = [outcome.outcome for outcome in report.outcomes]
    counts = [(name, names.count(name)) for name in MOST_SEVERE_FIRST if name in names]
    listed = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts)
    return f"{pluralize(len(names), 'snapshot')} of {report.plan.project}: {listed}"


def format_expiry(report: UnprotectReport) -> str:
    """Format until when the snapshots are exempt, and what protects them then; empty if none is exempt."""
    if not any(outcome.is_exempt for outcome in report.outcomes):
        return ""
    again = report.protects_again or "the next protection run"
    return f"until {report.until:%Y-%m-%d %H:%M} UTC, then protected again by {again}"


def next_step(report: UnprotectReport) -> str:
    """Name the first snapshot that needs attention, and what to do; empty if none does."""
    first = next((outcome for outcome in report.outcomes if outcome.needs_attention), None)
    return f"{describe(first)}. Run it again for what is still protected." if first else ""


def describe(outcome: UnprotectOutcome) -> str:
    """Describe an outcome in one line."""
    action = f", action {outcome.action_id}" if outcome.action_id else ""
    code = f" ({outcome.error.code})" if outcome.error.code else ""
    error = f": {outcome.error.message}{code}" if outcome.error.message else ""
    return f"Snapshot {outcome.snapshot.image_id}: {outcome.outcome.replace('_', ' ')}{action}{error}"


def _outcome(
    planned: PlannedSnapshot, change: ChangeResult | None, waited: WaitResult, seen: Sighting
) -> UnprotectOutcome:
    action = _last_seen(change, waited)
    error = (change.error if change else None) or (action_error(action, waited) if action else None)
    name, reported = _judge(planned, error, seen)
    return UnprotectOutcome(
        snapshot=planned,
        outcome=name,
        is_protected=isinstance(seen, Listed) and seen.image.is_protected,
        error=reported or ErrorInfo(),
        action_id=action.id if action else None,
    )


def _last_seen(change: ChangeResult | None, waited: WaitResult) -> Action | None:
    if change is None or change.action is None:
        return None
    return waited.actions.get(change.action.id, change.action)


def _judge(
    planned: PlannedSnapshot, error: ErrorInfo | None, seen: Sighting
) -> tuple[UnprotectOutcomeName, ErrorInfo | None]:
    match seen:
        case Deleted():
            return "deleted", error
        case Unknown(cause):
            text = f"protection state unknown: verification failed: {cause.message}"
            text = f"{error.message}; {text}" if error else text
            return "failed", ErrorInfo(code="unverified", message=text, correlation_id=cause.correlation_id)
        case Listed(image) if not image.is_protected:
            return ("unprotected" if planned.change == "unprotect" else "already_unprotected"), error
    if error and error.code == "action_unfinished":
        return "unfinished", error
    return "failed", error or (_WITHOUT_EFFECT if planned.change == "unprotect" else _PROTECTED_AGAIN)
