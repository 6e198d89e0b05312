"""What a protection run knows of each snapshot, and the outcome that follows from it. Pure functions.

An outcome is decided by what was seen last, whatever a request or its action returned before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hetzner_cloud.label_selector import LabelSelector
from hetzner_cloud.models import Action, ActionErrorInfo, Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangeResult, OutcomeName, SnapshotOutcome, WaitResult, make_outcome
from snapshot_protection.unreadable import UNREADABLE, ListedSnapshot, UnreadableSnapshot

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


@dataclass(frozen=True, slots=True)
class Listed:
    """A snapshot exists, in a listing or by its id; `selected`: its labels match the run's selector."""

    image: Image
    selected: bool = True


@dataclass(frozen=True, slots=True)
class Deleted:
    """The API returned that there is no such snapshot."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether a snapshot exists, and is protected, could not be read."""

    error: ErrorInfo


Sighting = Listed | Deleted | Unknown


@dataclass(frozen=True, slots=True)
class TrackedSnapshot:
    """A snapshot during a run.

    Attributes:
        first: As first seen.
        seen: What was seen last.
        change: What the last request to protect it returned, None if none was sent.
        action: The action that this request started, as last seen.
        error: Of this request or its action, None if both succeeded.
        confirmed: Whether the snapshot was seen protected after this request.
    """

    first: ListedSnapshot
    seen: Sighting
    change: ChangeResult | None = None
    action: Action | None = None
    error: ErrorInfo | None = None
    confirmed: bool = False


Tracked = Mapping[int, TrackedSnapshot]


def track(listing: Iterable[ListedSnapshot]) -> dict[int, TrackedSnapshot]:
    """Begin with the snapshots of a listing, by their ids."""
    return {one.id: TrackedSnapshot(one, see(one)) for one in listing if one.is_snapshot}


def see(listed: ListedSnapshot, selector: LabelSelector | None = None) -> Sighting:
    """Return what an image was seen as; one with a date of deletion is deleted.

    Args:
        listed: The image, or what could not be read of it.
        selector: Decides whether the run is about it, where no listing has decided that.
    """
    if isinstance(listed, UnreadableSnapshot):
        return Unknown(listed.error)
    if listed.deleted:
        return Deleted()
    matches = selector is None or selector.matches(listed.labels)
    return Listed(listed, selected=listed.is_snapshot and matches)


def select_unprotected(snapshots: Tracked) -> list[Image]:
    """Select what a request to protect is sent for.

    Those that the run is about and that were seen last without protection; not those of which a request or
    its action failed in this run. One whose action succeeded may have lost its protection again since.
    """
    return [
        tracked.seen.image
        for tracked in snapshots.values()
        if isinstance(tracked.seen, Listed)
        and tracked.seen.selected
        and not tracked.seen.image.is_protected
        and (tracked.change is None or tracked.confirmed or tracked.error is None)
    ]


def record_changes(
    snapshots: Tracked, changes: Iterable[ChangeResult], waited: WaitResult
) -> dict[int, TrackedSnapshot]:
    """Record what requests returned and the results of their actions."""
    changed = dict(snapshots)
    for change in changes:
        action = waited.actions.get(change.action.id, change.action) if change.action else None
        error = change.error or (action_error(action, waited) if action else None)
        before = changed[change.image_id]  # whose action stays named where no new one was started
        changed[change.image_id] = replace(
            before, change=change, action=action or before.action, error=error, confirmed=False
        )
    return changed


def unlisted(snapshots: Tracked, listing: Iterable[ListedSnapshot]) -> list[int]:
    """Return the ids of the snapshots that a listing should show and does not."""
    listed = {one.id for one in listing if one.is_snapshot}
    return [
        image_id
        for image_id, tracked in snapshots.items()
        if image_id not in listed and not isinstance(tracked.seen, Deleted)
    ]


def record_sightings(
    snapshots: Tracked, listing: Iterable[ListedSnapshot], fetched: Mapping[int, Sighting]
) -> dict[int, TrackedSnapshot]:
    """Record a verification: a listing, which may show new snapshots, and what it did not show, by id."""
    known = track(listing) | dict(snapshots)
    seen = {one.id: see(one) for one in listing if one.is_snapshot} | dict(fetched)
    return known | {
        image_id: replace(
            known[image_id], seen=now, confirmed=known[image_id].confirmed or _is_protected(now)
        )
        for image_id, now in seen.items()
    }


def record_failed_verification(snapshots: Tracked, error: ErrorInfo) -> dict[int, TrackedSnapshot]:
    """Record that nothing could be listed: whatever was seen before, what is protected now is not known."""
    return {
        image_id: tracked if isinstance(tracked.seen, Deleted) else replace(tracked, seen=Unknown(error))
        for image_id, tracked in snapshots.items()
    }


def planned_outcomes(project: str, snapshots: Tracked) -> tuple[SnapshotOutcome, ...]:
    """Determine what a dry run reports: what would be protected, and what is already."""
    outcomes = {outcome.image_id: outcome for outcome in final_outcomes(project, snapshots)}
    outcomes |= {
        image.id: make_outcome(project, image, "would_protect") for image in select_unprotected(snapshots)
    }
    return tuple(outcomes.values())


def final_outcomes(project: str, snapshots: Tracked) -> tuple[SnapshotOutcome, ...]:
    """Determine what is reported of all snapshots when the run ends."""
    return tuple(determine_outcome(project, tracked) for tracked in snapshots.values())


def determine_outcome(project: str, tracked: TrackedSnapshot) -> SnapshotOutcome:
    """Determine what is reported of a snapshot when the run ends."""
    error = tracked.error
    if error and error.token_rejected:  # reported once for the project, not for each snapshot
        error = error.model_copy(update={"message": "the project's token was rejected"})
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
        case Listed(image, selected):
            return _not_protected(project, tracked, image, error, selected=selected)


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


def _is_protected(sighting: Sighting) -> bool:
    return isinstance(sighting, Listed) and sighting.image.is_protected


def action_error(action: Action, waited: WaitResult) -> ErrorInfo | None:
    """Return why an action did not succeed, as far as it is known; None if it did."""
    if action.succeeded:
        return None
    if action.failed:
        error = action.error or ActionErrorInfo()
        text = f"its action failed: {printable(error.message) or 'no reason given'}"
        return ErrorInfo(code=printable(error.code) or "action_failed", message=text)
    if action.id in waited.missing:
        return ErrorInfo(code="action_not_found", message="the API does not know its action")
    text = f"action still running ({action.progress:g} %)"
    return ErrorInfo(code="action_unfinished", message=f"{text}: {waited.reason}" if waited.reason else text)
