"""Judging: every combination of what was asked, what its action did, and what was seen afterwards."""

import pickle
from typing import Any

import pytest

from hetzner_cloud.errors import InvalidRequestError
from hetzner_cloud.models import Action, Image
from hetzner_cloud.outcomes import (
    ChangeResult,
    ChangesFailedError,
    OutcomeName,
    Trouble,
    Waited,
    by_id,
    choose,
    choose_again,
    judge,
    outcome_of,
    protected_before,
    revise,
)

ID, ACTION_ID = 100_000_001, 504_538_401_287_250
LOCKED = Trouble(code="locked", message="another action runs", correlation_id="c0ffee")
NOT_FOUND = Trouble(code="not_found", message="no such image")
OUTAGE = Trouble(code="unavailable", message="the API is down")


def image(*, protected: bool = False, **fields: Any) -> Image:
    return Image.model_validate(
        {
            "id": ID,
            "type": "snapshot",
            "status": "available",
            "description": "db-1",
            "protection": {"delete": protected},
            **fields,
        }
    )


def action(status: str, **fields: Any) -> Action:
    return Action.model_validate({"id": ACTION_ID, "status": status, "progress": 40, **fields})


STARTED = ChangeResult(image_id=ID, action=action("running"))
REFUSED = ChangeResult(image_id=ID, trouble=LOCKED)
SUCCEEDED = Waited(actions={ACTION_ID: action("success")})
FAILED = Waited(actions={ACTION_ID: action("error", error={"code": "action_failed", "message": "no"})})
RUNNING = Waited(actions={ACTION_ID: action("running")}, reason="waited 5 s")
UNKNOWN = Waited(missing=frozenset({ACTION_ID}))
NOT_WAITED = Waited()

PROTECTED, UNPROTECTED = image(protected=True), image()
CREATING = image(status="creating")


@pytest.mark.parametrize(
    ("change", "waited", "seen", "outcome", "code"),
    [
        (STARTED, SUCCEEDED, PROTECTED, "protected", ""),
        (STARTED, FAILED, PROTECTED, "protected", "action_failed"),
        (STARTED, RUNNING, PROTECTED, "protected", "action_unfinished"),
        (STARTED, UNKNOWN, PROTECTED, "protected", "action_not_found"),
        (REFUSED, NOT_WAITED, PROTECTED, "protected", "locked"),
        (STARTED, SUCCEEDED, UNPROTECTED, "failed", "not_protected"),
        (STARTED, FAILED, UNPROTECTED, "failed", "action_failed"),
        (STARTED, RUNNING, UNPROTECTED, "unfinished", "action_unfinished"),
        (STARTED, UNKNOWN, UNPROTECTED, "failed", "action_not_found"),
        (REFUSED, NOT_WAITED, UNPROTECTED, "failed", "locked"),
        (REFUSED, NOT_WAITED, CREATING, "unfinished", "locked"),
        (STARTED, FAILED, CREATING, "failed", "action_failed"),
        (STARTED, SUCCEEDED, None, "gone", ""),
        (STARTED, FAILED, None, "gone", "action_failed"),
        (ChangeResult(image_id=ID, trouble=NOT_FOUND), NOT_WAITED, None, "gone", "not_found"),
        (ChangeResult(image_id=ID, trouble=NOT_FOUND), NOT_WAITED, UNPROTECTED, "failed", "not_found"),
        (ChangeResult(image_id=ID, trouble=NOT_FOUND), NOT_WAITED, OUTAGE, "gone", "not_found"),
        (STARTED, SUCCEEDED, OUTAGE, "failed", "unverified"),
        (STARTED, RUNNING, OUTAGE, "failed", "unverified"),
        (REFUSED, NOT_WAITED, OUTAGE, "failed", "locked"),
    ],
)
def test_what_was_seen_afterwards_decides_when_judged(
    change: ChangeResult, waited: Waited, seen: Image | Trouble | None, outcome: OutcomeName, code: str
) -> None:
    judged = judge("prod", image(), change, waited, seen)
    assert (judged.outcome, judged.code) == (outcome, code)
    assert (judged.project, judged.image_id) == ("prod", ID)
    assert judged.action_id == (ACTION_ID if change.action else None)


def test_only_unprotected_snapshots_are_chosen() -> None:
    others = [image(id=number, type=kind) for number, kind in enumerate(("system", "app", "backup"), 1)]
    assert choose([PROTECTED, UNPROTECTED, *others]) == [UNPROTECTED]


def test_only_protected_snapshots_count_as_protected_before() -> None:
    system = image(id=1, type="system", protected=True)
    assert [outcome.image_id for outcome in protected_before("prod", [PROTECTED, UNPROTECTED, system])] == [
        ID
    ]


def test_what_users_wrote_is_made_fit_to_be_shown() -> None:
    hostile = image(description="a\nb\x1b[31m\u202ec", created_from={"id": 1, "name": "s\tq"})
    outcome = outcome_of("prod", hostile, "protected")
    assert (outcome.description, outcome.server) == ("a b [31m c", "s q")


def test_a_group_s_error_keeps_every_result_when_pickled() -> None:
    error = ChangesFailedError([STARTED, REFUSED])
    copy = pickle.loads(pickle.dumps(error))
    assert copy.results == [STARTED, REFUSED]
    assert str(copy) == "1 of 2 snapshots could not be changed: another action runs (locked, c0ffee)"


def test_a_snapshot_that_was_creating_and_locked_is_unfinished_even_if_it_is_done_now() -> None:
    judged = judge("prod", CREATING, REFUSED, NOT_WAITED, UNPROTECTED)
    assert (judged.outcome, judged.code) == ("unfinished", "locked")


def test_what_a_later_listing_shows_unprotected_is_chosen_again_unless_it_is_trouble() -> None:
    new, lost, failed, asked = (image(id=number) for number in (1, 2, 3, 4))
    known = by_id([outcome_of("prod", lost, "already_protected"), outcome_of("prod", failed, "failed")])
    assert choose_again([new, lost, failed, asked, PROTECTED], known, asked={4}) == [new, lost]


def test_what_a_later_listing_shows_protected_is_taken_in() -> None:
    late, came_up, gone = image(id=1, protected=True), image(id=2, protected=True), image(id=3)
    known = by_id([outcome_of("prod", late, "unfinished", LOCKED), outcome_of("prod", gone, "gone")])
    revised = revise("prod", [late, came_up], known)
    assert {number: outcome.outcome for number, outcome in revised.items()} == {
        1: "protected",
        2: "already_protected",
        3: "gone",
    }
    assert revised[1].code == "locked"


def test_trouble_names_the_fields_that_the_api_did_not_accept() -> None:
    fields = [{"name": "delete", "messages": ["is unknown"]}]
    error = InvalidRequestError("not accepted", "invalid_input", 422, "c0ffee", {"fields": fields})
    assert Trouble.of(error).message == "not accepted: delete: is unknown"
