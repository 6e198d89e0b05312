"""What a protection run knows of each snapshot, and what it changes next. Pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hetzner_cloud.label_selector import LabelSelector
from hetzner_cloud.models import Action, ActionErrorInfo, Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangeResult, WaitResult
from snapshot_protection.requirements import Requirements
from snapshot_protection.unreadable import ListedSnapshot, UnreadableSnapshot


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
    matches = selector is None or selector.matches(listed.labels or {})
    return Listed(listed, selected=listed.is_snapshot and matches)


def has_unprotected(snapshots: Tracked) -> bool:
    """Return whether any snapshot was seen last without protection: only then an exemption matters."""
    return any(
        isinstance(tracked.seen, Listed) and not tracked.seen.image.is_protected
        for tracked in snapshots.values()
    )


def select_unprotected(requirements: Requirements, snapshots: Tracked) -> list[Image]:
    """Select what a request to protect is sent for.

    Those that the run is about, that were seen last without protection, and that are not exempt as they were
    seen; not those of which a request or its action failed in this run. One whose action succeeded may have
    lost its protection again since.
    """
    return [
        tracked.seen.image
        for tracked in snapshots.values()
        if isinstance(tracked.seen, Listed)
        and tracked.seen.selected
        and not tracked.seen.image.is_protected
        and (tracked.change is None or tracked.confirmed or tracked.error is None)
        and not requirements.exempted_by(tracked.seen.image)
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
