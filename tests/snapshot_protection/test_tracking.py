"""Every combination of what a request returned, what its action did, and what was seen last."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from hetzner_cloud.label_selector import LabelSelector
from hetzner_cloud.models import Image
from snapshot_protection.determined_outcomes import determine_outcome
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import ChangeResult, OutcomeName, SnapshotOutcome, WaitResult
from snapshot_protection.requirements import Requirements
from snapshot_protection.tracking import (
    Deleted,
    Listed,
    Sighting,
    Unknown,
    record_changes,
    record_failed_verification,
    record_sightings,
    see,
    select_unprotected,
    track,
    unlisted,
)
from snapshot_protection.unreadable import UNREADABLE, UnreadableSnapshot
from tests.support.tracked_snapshots import ACTION_ID, ID, LOCKED, REJECTED, STARTED, action, image

NOT_FOUND = ErrorInfo(code="not_found", message="no such image")
OUTAGE = Unknown(ErrorInfo(code="unavailable", message="the API is down"))


SUCCEEDED = WaitResult(actions={ACTION_ID: action("success")})
FAILED = WaitResult(actions={ACTION_ID: action("error", error={"code": "action_failed", "message": "no"})})
RUNNING = WaitResult(actions={ACTION_ID: action("running")}, reason="waited 5 s")
UNKNOWN = WaitResult(missing=frozenset({ACTION_ID}))
NOT_WAITED = WaitResult()

REQUIRED = Requirements("prod")
PROTECTED, UNPROTECTED = image(protected=True), image()
CREATING = image(status="creating")


def outcome_after(
    first: Image, sighting: Sighting, change: ChangeResult | None = None, waited: WaitResult = NOT_WAITED
) -> SnapshotOutcome:
    snapshots = record_changes(track([first]), [change] if change else [], waited)
    return determine_outcome(REQUIRED, record_sightings(snapshots, [], {ID: sighting})[ID])


@pytest.mark.parametrize(
    ("change", "waited", "seen", "outcome", "code"),
    [
        (STARTED, SUCCEEDED, Listed(PROTECTED), "protected", ""),
        (STARTED, FAILED, Listed(PROTECTED), "protected", "action_failed"),
        (STARTED, RUNNING, Listed(PROTECTED), "protected", "action_unfinished"),
        (STARTED, UNKNOWN, Listed(PROTECTED), "protected", "action_not_found"),
        (REJECTED, NOT_WAITED, Listed(PROTECTED), "protected", "locked"),
        (STARTED, SUCCEEDED, Listed(UNPROTECTED), "failed", "not_protected"),
        (STARTED, FAILED, Listed(UNPROTECTED), "failed", "action_failed"),
        (STARTED, RUNNING, Listed(UNPROTECTED), "unfinished", "action_unfinished"),
        (STARTED, UNKNOWN, Listed(UNPROTECTED), "failed", "action_not_found"),
        (REJECTED, NOT_WAITED, Listed(UNPROTECTED), "failed", "locked"),
        (REJECTED, NOT_WAITED, Listed(CREATING), "unfinished", "locked"),
        (STARTED, FAILED, Listed(CREATING), "failed", "action_failed"),
        (STARTED, SUCCEEDED, Deleted(), "deleted", ""),
        (STARTED, FAILED, Deleted(), "deleted", "action_failed"),
        (ChangeResult(image_id=ID, error=NOT_FOUND), NOT_WAITED, Deleted(), "deleted", "not_found"),
        (
            ChangeResult(image_id=ID, error=NOT_FOUND),
            NOT_WAITED,
            Listed(UNPROTECTED),
            "failed",
            "not_found",
        ),
        (ChangeResult(image_id=ID, error=NOT_FOUND), NOT_WAITED, OUTAGE, "failed", "not_found"),
        (STARTED, SUCCEEDED, OUTAGE, "failed", "unverified"),
        (STARTED, RUNNING, OUTAGE, "failed", "unverified"),
        (REJECTED, NOT_WAITED, OUTAGE, "failed", "locked"),
    ],
)
def test_what_was_seen_last_decides_when_a_change_was_sent(
    change: ChangeResult, waited: WaitResult, seen: Sighting, outcome: OutcomeName, code: str
) -> None:
    reported = outcome_after(UNPROTECTED, seen, change, waited)
    assert (reported.outcome, reported.code) == (outcome, code)
    assert (reported.project, reported.image_id) == ("prod", ID)
    assert reported.action_id == (ACTION_ID if change.action else None)


@pytest.mark.parametrize(
    ("seen", "outcome", "code", "message"),
    [
        (Listed(PROTECTED), "already_protected", "", ""),
        (Deleted(), "deleted", "", "it was protected when the run began"),
        (see(image(deleted="2026-11-25T00:00:00Z", protected=True)), "deleted", "", "it was protected"),
        (OUTAGE, "failed", "unverified", "protection state unknown"),
        (Listed(UNPROTECTED), "failed", "not_protected", "too late for this run"),
        (Listed(UNPROTECTED, selected=False), "failed", "not_protected", "no longer matches"),
    ],
)
def test_what_was_seen_last_decides_when_it_was_protected_before(
    seen: Sighting, outcome: OutcomeName, code: str, message: str
) -> None:
    reported = outcome_after(PROTECTED, seen)
    assert (reported.outcome, reported.code, reported.action_id) == (outcome, code, None)
    assert reported.message.startswith(message) or message in reported.message


def test_a_protection_that_was_confirmed_and_then_removed_is_a_failure() -> None:
    snapshots = record_changes(track([UNPROTECTED]), [STARTED], SUCCEEDED)
    snapshots = record_sightings(snapshots, [PROTECTED], {})
    snapshots = record_sightings(snapshots, [UNPROTECTED], {})
    reported = determine_outcome(REQUIRED, snapshots[ID])
    assert (reported.outcome, reported.code, reported.action_id) == ("failed", "not_protected", ACTION_ID)
    assert [image.id for image in select_unprotected(REQUIRED, snapshots)] == [ID]


def test_an_action_of_an_earlier_round_stays_named_when_a_later_request_is_rejected() -> None:
    snapshots = record_changes(track([UNPROTECTED]), [STARTED], SUCCEEDED)
    snapshots = record_changes(record_sightings(snapshots, [UNPROTECTED], {}), [REJECTED], NOT_WAITED)
    reported = determine_outcome(REQUIRED, record_sightings(snapshots, [UNPROTECTED], {})[ID])
    assert (reported.outcome, reported.code, reported.action_id) == ("failed", "locked", ACTION_ID)


def test_only_unprotected_snapshots_are_selected() -> None:
    others = [image(id=number, type=kind) for number, kind in enumerate(("system", "app", "backup"), 1)]
    protected = image(id=9, protected=True)
    assert select_unprotected(REQUIRED, track([protected, UNPROTECTED, *others])) == [UNPROTECTED]
    assert set(track([protected, UNPROTECTED, *others])) == {9, ID}


def test_a_snapshot_that_was_creating_and_locked_is_unfinished_even_if_it_is_available_now() -> None:
    reported = outcome_after(CREATING, Listed(UNPROTECTED), REJECTED)
    assert (reported.outcome, reported.code) == ("unfinished", "locked")


def test_a_verification_selects_what_is_new_or_lost_its_protection_but_not_what_failed() -> None:
    new, lost, failed = (image(id=number) for number in (1, 2, 3))
    snapshots = track([image(id=2, protected=True), failed])
    snapshots = record_changes(snapshots, [ChangeResult(image_id=3, error=LOCKED)], NOT_WAITED)
    snapshots = record_sightings(snapshots, [new, lost, failed], {})
    assert {image.id for image in select_unprotected(REQUIRED, snapshots)} == {1, 2}


def test_a_verification_takes_in_what_is_protected_by_now() -> None:
    late, new = image(id=1, protected=True), image(id=2, protected=True)
    snapshots = record_changes(track([image(id=1)]), [ChangeResult(image_id=1, error=LOCKED)], NOT_WAITED)
    outcomes = outcomes_of(record_sightings(snapshots, [late, new], {}).values())
    assert outcomes == {1: ("protected", "locked"), 2: ("already_protected", "")}


def test_nothing_is_reported_protected_when_the_verification_failed() -> None:
    confirmed, open_, before = image(id=1), image(id=2), image(id=3, protected=True)
    snapshots = record_changes(track([confirmed, before]), [ChangeResult(image_id=1)], NOT_WAITED)
    snapshots = record_sightings(snapshots, [image(id=1, protected=True), before, open_], {})
    snapshots = record_changes(snapshots, [ChangeResult(image_id=2)], NOT_WAITED)
    outcomes = outcomes_of(record_failed_verification(snapshots, LOCKED).values())
    assert outcomes == dict.fromkeys([1, 2, 3], ("failed", "unverified"))


def test_a_deleted_snapshot_stays_deleted_when_the_verification_failed() -> None:
    snapshots = track([image(deleted="2026-11-25T00:00:00Z")])
    assert outcomes_of(record_failed_verification(snapshots, LOCKED).values()) == {ID: ("deleted", "")}


def test_what_a_listing_does_not_show_is_looked_up_unless_it_was_deleted() -> None:
    snapshots = track([image(id=1), image(id=2), image(id=3, protected=True)])
    snapshots[2] = replace(snapshots[2], seen=Deleted())
    assert unlisted(snapshots, [image(id=1)]) == [3]


def test_what_a_listing_shows_as_another_type_is_looked_up_and_gets_no_change() -> None:
    snapshots = track([image(protected=True)])
    other = image(type="backup")
    assert unlisted(snapshots, [other]) == [ID]
    seen = record_sightings(snapshots, [other], {ID: see(other)})
    assert outcomes_of(seen.values()) == {ID: ("failed", "not_protected")}
    assert not select_unprotected(REQUIRED, seen)


@pytest.mark.parametrize(
    ("labels", "selected"), [({"env": "prod"}, True), ({"env": "dev"}, False), ({"env": ["prod"]}, False)]
)
def test_what_was_looked_up_by_its_id_is_selected_by_its_labels(
    labels: dict[str, object], *, selected: bool
) -> None:
    assert see(image(labels=labels), LabelSelector.parse("env=prod")) == Listed(
        image(labels=labels), selected=selected
    )


def outcomes_of(snapshots: Iterable[Any]) -> dict[int, tuple[str, str]]:
    outcomes = [determine_outcome(REQUIRED, tracked) for tracked in snapshots]
    return {outcome.image_id: (outcome.outcome, outcome.code) for outcome in outcomes}


# Snapshots that could not be read

REASON = "could not be read: protection: Field required"
UNREAD = UnreadableSnapshot(ID, ErrorInfo(code=UNREADABLE, message=REASON))


def test_a_snapshot_that_cannot_be_read_is_sent_no_change_and_is_failed() -> None:
    tracked = track([UNREAD])
    assert select_unprotected(REQUIRED, tracked) == []
    outcome = determine_outcome(REQUIRED, tracked[ID])
    assert (outcome.image_id, outcome.outcome, outcome.code) == (ID, "failed", UNREADABLE)
    assert (outcome.message, outcome.description) == (REASON, "")


@pytest.mark.parametrize("first", [PROTECTED, UNPROTECTED], ids=["protected", "unprotected"])
@pytest.mark.parametrize("change", [None, STARTED], ids=["no change", "change"])
def test_a_snapshot_is_failed_when_it_cannot_be_read_any_more(
    first: Image, change: ChangeResult | None
) -> None:
    waited = SUCCEEDED if change else NOT_WAITED
    tracked = record_changes(track([first]), [change] if change else [], waited)
    outcome = determine_outcome(REQUIRED, record_sightings(tracked, [UNREAD], {})[ID])
    assert (outcome.outcome, outcome.code, outcome.message) == ("failed", UNREADABLE, REASON)
    assert outcome.action_id == (ACTION_ID if change else None)


def test_a_snapshot_counts_as_it_is_when_it_can_be_read_again() -> None:
    assert determine_outcome(REQUIRED, record_sightings(track([UNREAD]), [PROTECTED], {})[ID]).outcome == (
        "already_protected"
    )
    assert select_unprotected(REQUIRED, record_sightings(track([UNREAD]), [UNPROTECTED], {})) == [UNPROTECTED]


def test_a_snapshot_that_could_not_be_read_is_looked_up_when_it_is_no_longer_listed() -> None:
    tracked = track([UNREAD])
    assert unlisted(tracked, [UNREAD]) == []
    assert unlisted(tracked, []) == [ID]
    outcome = determine_outcome(REQUIRED, record_sightings(tracked, [], {ID: Deleted()})[ID])
    assert (outcome.outcome, outcome.message) == ("deleted", "")


def test_nothing_is_known_of_an_unreadable_snapshot_when_the_verification_fails() -> None:
    tracked = record_failed_verification(track([UNREAD]), OUTAGE.error)
    assert determine_outcome(REQUIRED, tracked[ID]).code == "unverified"
