"""The outcome of each snapshot of a protection run. Pure functions.

It is decided by what was seen last, whatever a request or its action returned before.
"""

from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import OutcomeName, SnapshotOutcome, make_outcome
from snapshot_protection.requirements import Requirements
from snapshot_protection.tracking import (
    Deleted,
    Listed,
    Tracked,
    TrackedSnapshot,
    Unknown,
    select_unprotected,
)
from snapshot_protection.unreadable import UNREADABLE

_NOT_YET = frozenset({"locked", "resource_unavailable", "unavailable"})
_TOO_LATE = ErrorInfo(
    code="not_protected", message="created or unprotected too late for this run to protect it"
)
_WITHDRAWN = ErrorInfo(
    code="not_protected",
    message="its protection was removed during the run, and the label selector no longer matches it",
)
_WITHOUT_EFFECT = ErrorInfo(code="not_protected", message="its action succeeded, but it is not protected")
_DELETED_THOUGH_PROTECTED = ErrorInfo(message="it was protected when the run began")


def planned_outcomes(requirements: Requirements, snapshots: Tracked) -> tuple[SnapshotOutcome, ...]:
    """Determine what a dry run reports: what would be protected, what is already, and what is exempt."""
    outcomes = {outcome.image_id: outcome for outcome in final_outcomes(requirements, snapshots)}
    for image in select_unprotected(requirements, snapshots):
        planned = make_outcome(requirements.project, image, "would_protect")
        outcomes[image.id] = _with_rule(requirements, image, planned)
    return tuple(outcomes.values())


def final_outcomes(requirements: Requirements, snapshots: Tracked) -> tuple[SnapshotOutcome, ...]:
    """Determine what is reported of all snapshots when the run ends."""
    return tuple(determine_outcome(requirements, tracked) for tracked in snapshots.values())


def determine_outcome(requirements: Requirements, tracked: TrackedSnapshot) -> SnapshotOutcome:
    """Determine what is reported of a snapshot when the run ends."""
    outcome = _determine(requirements, tracked, _own_error(tracked))
    if isinstance(tracked.seen, Listed):
        return _with_rule(requirements, tracked.seen.image, outcome)
    return outcome


def _determine(
    requirements: Requirements, tracked: TrackedSnapshot, error: ErrorInfo | None
) -> SnapshotOutcome:
    project = requirements.project
    match tracked.seen:
        case Deleted():
            if tracked.change is None and isinstance(first := tracked.first, Image) and first.is_protected:
                error = _DELETED_THOUGH_PROTECTED
            return make_outcome(project, tracked.first, "deleted", error, tracked.action)
        case Unknown(cause):
            return _unverified(project, tracked, error, cause)
        case Listed(image) if image.is_protected:
            outcome: OutcomeName = "already_protected" if tracked.change is None else "protected"
            return make_outcome(project, image, outcome, error, tracked.action)
        case Listed(image) if reason := requirements.exempted_by(image):
            return make_outcome(project, image, "exempt", _exempt(reason, error), tracked.action)
        case Listed(image, selected):
            return _not_protected(project, tracked, image, error, selected=selected)


def _own_error(tracked: TrackedSnapshot) -> ErrorInfo | None:
    """Return the error of its request or action; a token's is reported once for the project."""
    if tracked.error and tracked.error.token_rejected:
        return tracked.error.model_copy(update={"message": "the project's token was rejected"})
    return tracked.error


def _with_rule(requirements: Requirements, image: Image, outcome: SnapshotOutcome) -> SnapshotOutcome:
    rule = requirements.governed_by(image)
    return outcome if rule is None else outcome.model_copy(update={"rule": rule})


def _exempt(reason: str, error: ErrorInfo | None) -> ErrorInfo:
    """Make the message of one that is exempt, and may have been changed before it was: by an error, too."""
    reason = printable(reason)
    if error is None:
        return ErrorInfo(message=reason)
    return error.model_copy(update={"message": f"{reason}; {error.message}"})


def _unverified(
    project: str, tracked: TrackedSnapshot, error: ErrorInfo | None, cause: ErrorInfo
) -> SnapshotOutcome:
    if tracked.change and tracked.action is None and error:
        return make_outcome(project, tracked.first, "failed", error)
    unreadable = cause.code == UNREADABLE
    text = cause.message if unreadable else f"protection state unknown: verification failed: {cause.message}"
    text = f"{error.message}; {text}" if error else text
    code = UNREADABLE if unreadable else "unverified"
    unverified = ErrorInfo(code=code, message=text, correlation_id=cause.correlation_id)
    return make_outcome(project, tracked.first, "failed", unverified, tracked.action)


def _not_protected(
    project: str, tracked: TrackedSnapshot, image: Image, error: ErrorInfo | None, *, selected: bool
) -> SnapshotOutcome:
    if tracked.change is None or tracked.confirmed:  # another user's change, made too late for this run
        late = _TOO_LATE if selected else _WITHDRAWN
        return make_outcome(project, image, "failed", late, tracked.action)
    was_creating = any(isinstance(one, Image) and one.status == "creating" for one in (tracked.first, image))
    not_yet = was_creating and tracked.action is None and error is not None and error.code in _NOT_YET
    unfinished = not_yet or (error is not None and error.code == "action_unfinished")
    outcome: OutcomeName = "unfinished" if unfinished else "failed"
    return make_outcome(project, image, outcome, error or _WITHOUT_EFFECT, tracked.action)
