"""Exempt snapshots: one outcome each, by what was seen last, and no request."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.models import Image
from snapshot_protection.determined_outcomes import determine_outcome, final_outcomes, planned_outcomes
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.exemptions import Exemption
from snapshot_protection.outcomes import ChangeResult, OutcomeName, WaitResult
from snapshot_protection.policy import Policy, Rule
from snapshot_protection.requirements import Requirements
from snapshot_protection.tracking import (
    Deleted,
    Listed,
    Sighting,
    Unknown,
    has_unprotected,
    record_changes,
    record_failed_verification,
    record_sightings,
    select_unprotected,
    track,
)
from tests.support.tracked_snapshots import ACTION_ID, ID, LOCKED, STARTED, action, image

POLICY = Policy(
    rules=[
        Rule(name="kept", label_selector="keep"),
        Rule(name="lab", label_selector="env=lab", protect=False),
    ]
)
LAB, PROD = {"env": "lab"}, {"env": "prod"}
APPROVED = Exemption(
    image_id=ID,
    until=datetime(2026, 11, 27, 4, tzinfo=UTC),
    reason="moved away",
    approved_by="on\ncall",
    flow_run_id=UUID(int=1),
)
BY_RULE, BY_APPROVAL = Requirements("prod", POLICY), Requirements("prod", POLICY, {ID: APPROVED})
OUTAGE = Unknown(ErrorInfo(code="unavailable", message="the API is down"))


@pytest.mark.parametrize(
    ("seen", "outcome", "message"),
    [
        (Listed(image(labels=LAB)), "exempt", "rule 'lab'"),
        (Listed(image(labels=LAB), selected=False), "exempt", "rule 'lab'"),
        (Listed(image(labels=LAB, protected=True)), "already_protected", ""),
        (Listed(image(labels=PROD)), "failed", "too late for this run"),
        (Listed(image(labels=LAB | {"keep": ""})), "failed", "too late for this run"),
        (Deleted(), "deleted", ""),
        (OUTAGE, "failed", "protection state unknown"),
    ],
)
def test_what_was_seen_last_decides_whether_a_rule_exempts(
    seen: Sighting, outcome: OutcomeName, message: str
) -> None:
    snapshots = record_sightings(track([image(labels=LAB)]), [], {ID: seen})
    reported = determine_outcome(BY_RULE, snapshots[ID])
    assert reported.outcome == outcome
    assert message in reported.message


def test_an_approved_exemption_is_reported_with_its_end_its_reason_and_who_approved_it() -> None:
    snapshots = track([image(labels=PROD)])
    reported = determine_outcome(BY_APPROVAL, snapshots[ID])
    assert (reported.outcome, reported.rule) == ("exempt", "")
    assert reported.message == (
        "approved until 2026-11-27 04:00 UTC: moved away, approved by on call (as stated)"
    )
    assert determine_outcome(BY_RULE, snapshots[ID]).outcome == "failed"


def test_one_that_becomes_exempt_after_its_action_failed_names_both_and_gets_no_further_request() -> None:
    failed = WaitResult(
        actions={ACTION_ID: action("error", error={"code": "action_failed", "message": "no"})}
    )
    snapshots = record_changes(track([image(labels=PROD)]), [STARTED], failed)
    snapshots = record_sightings(snapshots, [image(labels=LAB)], {})
    reported = determine_outcome(BY_RULE, snapshots[ID])
    assert (reported.outcome, reported.code, reported.action_id) == ("exempt", "action_failed", ACTION_ID)
    assert reported.message == "rule 'lab'; its action failed: no"
    assert not reported.needs_attention
    assert not select_unprotected(BY_RULE, snapshots)


def test_one_that_is_relabelled_during_the_run_is_protected_in_the_next_round() -> None:
    snapshots = track([image(labels=LAB)])
    assert not select_unprotected(BY_RULE, snapshots)
    relabelled = image(labels=PROD)
    assert select_unprotected(BY_RULE, record_sightings(snapshots, [relabelled], {})) == [relabelled]


def test_nothing_is_reported_exempt_when_the_verification_failed() -> None:
    snapshots = record_failed_verification(track([image(labels=LAB)]), LOCKED)
    reported = determine_outcome(BY_APPROVAL, snapshots[ID])
    assert (reported.outcome, reported.code, reported.rule) == ("failed", "unverified", None)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Listed(image()), True),
        (Listed(image(), selected=False), True),
        (Listed(image(protected=True)), False),
        (Deleted(), False),
        (OUTAGE, False),
    ],
)
def test_exemptions_matter_only_if_a_snapshot_was_seen_unprotected(seen: Sighting, *, expected: bool) -> None:
    assert has_unprotected(record_sightings(track([image()]), [], {ID: seen})) is expected


# Whatever is listed, required and seen

_LABELS = st.sampled_from([{}, LAB, PROD, LAB | {"keep": ""}])
_IMAGES = st.lists(
    st.builds(
        lambda image_id, labels, protected: image(id=image_id, labels=labels, protected=protected),
        st.integers(1, 12),
        _LABELS,
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.id,
)
_REQUIREMENTS = st.builds(
    lambda image_ids: Requirements("prod", POLICY, dict.fromkeys(image_ids, APPROVED)),
    st.frozensets(st.integers(1, 12)),
)


@given(first=_IMAGES, last=_IMAGES, requirements=_REQUIREMENTS, changed=st.booleans())
def test_each_snapshot_has_one_outcome_and_none_that_is_exempt_is_sent_a_request(
    first: list[Image], last: list[Image], requirements: Requirements, *, changed: bool
) -> None:
    snapshots = track(first)
    sent = {one.id for one in select_unprotected(requirements, snapshots)}
    assert not sent & {one.id for one in first if requirements.exempted_by(one)}
    if changed:
        snapshots = record_changes(snapshots, [ChangeResult(image_id=one) for one in sent], WaitResult())
    gone = {one.id for one in first} - {one.id for one in last}
    snapshots = record_sightings(snapshots, last, dict.fromkeys(gone, Deleted()))
    outcomes = {one.image_id: one for one in final_outcomes(requirements, snapshots)}
    assert len(final_outcomes(requirements, snapshots)) == len(outcomes) == len(snapshots)
    seen = {one.id: one for one in last}
    for image_id, outcome in outcomes.items():
        now = seen.get(image_id)
        is_exempt = now is not None and not now.is_protected and bool(requirements.exempted_by(now))
        assert (outcome.outcome == "exempt") is is_exempt
        assert (outcome.outcome == "already_protected") is (
            now is not None and now.is_protected and not (changed and image_id in sent)
        )
    exempt = {image_id for image_id, one in outcomes.items() if one.outcome == "exempt"}
    assert not exempt & {one.id for one in select_unprotected(requirements, snapshots)}


@given(listing=_IMAGES, requirements=_REQUIREMENTS, data=st.data())
def test_the_order_of_a_listing_changes_no_outcome(
    listing: list[Image], requirements: Requirements, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(listing))
    for outcomes in (final_outcomes, planned_outcomes):
        assert set(outcomes(requirements, track(listing))) == set(outcomes(requirements, track(shuffled)))
    dry_run = planned_outcomes(requirements, track(listing))
    would = {one.image_id for one in dry_run if one.outcome == "would_protect"}
    assert would == {one.id for one in select_unprotected(requirements, track(listing))}
    assert {one.outcome for one in dry_run} <= {"would_protect", "already_protected", "exempt"}
