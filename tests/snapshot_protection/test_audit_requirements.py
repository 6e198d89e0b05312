"""What excuses that a snapshot is unprotected, or missing: a rule, or an approved exemption."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.models import Action, Image
from snapshot_protection.audit import baseline_entries, compare_with_baseline
from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, State, with_policy
from snapshot_protection.audit_evidence import lacks_evidence, with_evidence
from snapshot_protection.audit_finding import FindingName, SnapshotFinding
from snapshot_protection.audit_requirements import AuditRequirements
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import NamedPolicy, Policy, Rule

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
DAY = timedelta(days=1)
SCRATCH = Rule(name="scratch", label_selector="scratch", protect=False)
POLICY = NamedPolicy("default", Policy(rules=[SCRATCH]))
EDITED = NamedPolicy("default", Policy(rules=[SCRATCH], timezone="Europe/Berlin"))
ON, OFF = {"protected": True}, {"protected": False}
ON_SCRATCH, OFF_SCRATCH = ON | {"scratch": True}, OFF | {"scratch": True}


def image(image_id: int, *, protected: bool, scratch: bool = False) -> Image:
    return Image.model_validate(
        {
            "id": image_id,
            "type": "snapshot",
            "protection": {"delete": protected},
            "labels": {"scratch": ""} if scratch else {},
            "created": (NOW - timedelta(days=90)).isoformat(),
        }
    )


def exemption(until: datetime, image_id: int = 1) -> dict[int, Exemption]:
    one = Exemption(
        image_id=image_id,
        until=until,
        reason="moved to the new cluster",
        approved_by="on call",
        flow_run_id=UUID(int=1),
    )
    return {image_id: one}


def requirements(
    policy: NamedPolicy = POLICY, exemptions: Mapping[int, Exemption] | None = None, name: str = "default"
) -> AuditRequirements:
    return AuditRequirements("prod", policy, name, exemptions or {})


class Nights:
    """Audits of one project, a day apart; the last one is now."""

    def __init__(self, count: int) -> None:
        self._now = NOW - DAY * count
        self._before: AuditBaseline | None = None

    def audit(
        self, required: AuditRequirements, snapshot: Mapping[str, bool] | None = None, *actions: Action
    ) -> SnapshotFinding:
        """Audit snapshot 1, which is as described, or missing."""
        self._now += DAY
        listing = [] if snapshot is None else [image(1, **snapshot)]
        found = compare_with_baseline(
            listing, self._before, now=self._now, grace_hours=0, requirements=required
        )
        found = with_evidence(found, actions)
        version = required.version(self._now)
        policies = with_policy(self._before.policies if self._before else {}, required.policy_key, version)
        self._before = AuditBaseline("prod", "", self._now, baseline_entries(found), policies=policies)
        [one] = found
        return one


def found(
    *nights: Mapping[str, bool] | None, policies: Mapping[int, NamedPolicy] | None = None, **fields: Any
) -> list[FindingName]:
    """Audit night after night; by its number, the policy that applies from a night on."""
    audits, policy = Nights(len(nights)), POLICY
    names = []
    for number, snapshot in enumerate(nights):
        policy = (policies or {}).get(number, policy)
        names.append(audits.audit(requirements(policy, **fields), snapshot).finding)
    return names


@pytest.mark.parametrize(
    ("nights", "findings"),
    [
        ([OFF_SCRATCH, OFF_SCRATCH], ["exempt", "exempt"]),  # never seen protected
        ([ON_SCRATCH, OFF_SCRATCH, OFF_SCRATCH], ["protected", "exempt", "exempt"]),
        ([ON, OFF_SCRATCH, OFF_SCRATCH], ["protected", "newly_unprotected", "newly_unprotected"]),
        ([ON, ON_SCRATCH, OFF_SCRATCH], ["protected", "protected", "exempt"]),
        ([ON, OFF, OFF_SCRATCH], ["protected", "newly_unprotected", "newly_unprotected"]),
        ([ON, OFF_SCRATCH, ON_SCRATCH, OFF_SCRATCH],
         ["protected", "newly_unprotected", "newly_protected", "exempt"]),
        ([ON_SCRATCH, OFF, OFF_SCRATCH], ["protected", "newly_unprotected", "newly_unprotected"]),
        ([OFF_SCRATCH, OFF], ["exempt", "unprotected"]),
        ([ON_SCRATCH, OFF_SCRATCH, OFF], ["protected", "exempt", "newly_unprotected"]),
        ([ON_SCRATCH, None, None], ["protected", "missing_exempt", "missing_exempt"]),
        ([ON_SCRATCH, OFF_SCRATCH, None], ["protected", "exempt", "missing_exempt"]),
        ([ON, OFF_SCRATCH, None], ["protected", "newly_unprotected", "missing_protected"]),
        ([OFF_SCRATCH, None], ["exempt", "missing_exempt"]),
        ([ON, None, OFF_SCRATCH], ["protected", "missing_protected", "newly_unprotected"]),
    ],
)  # fmt: skip
def test_a_rule_excuses_a_removal_only_if_it_matched_in_the_audit_before(
    nights: list[Mapping[str, bool] | None], findings: list[FindingName]
) -> None:
    assert found(*nights) == findings


def test_a_removal_that_a_rule_does_not_excuse_says_that_it_matches_now() -> None:
    audits = Nights(2)
    audits.audit(requirements(), ON)
    one = audits.audit(requirements(), OFF_SCRATCH)
    assert (one.reason, one.is_violation, one.is_new) == ("now matches rule 'scratch'", True, True)


def test_a_removal_that_was_red_is_excused_once_the_policy_has_changed() -> None:
    nights = [ON, OFF_SCRATCH, OFF_SCRATCH, OFF_SCRATCH]
    assert found(*nights, policies={2: EDITED})[1:] == ["newly_unprotected", "exempt", "exempt"]


def test_a_policy_that_is_saved_after_the_last_audit_excuses_what_it_matches() -> None:
    nights = [ON, OFF_SCRATCH, OFF_SCRATCH]
    policies = {0: NamedPolicy(), 2: POLICY}
    assert found(*nights, policies=policies) == ["protected", "newly_unprotected", "exempt"]


def test_a_policy_that_is_deleted_makes_what_it_exempted_red() -> None:
    nights = [ON_SCRATCH, OFF_SCRATCH, OFF_SCRATCH]
    assert found(*nights, policies={2: NamedPolicy()}) == ["protected", "exempt", "newly_unprotected"]


def test_an_audit_by_hand_with_another_policy_takes_nothing_from_the_nightly_one() -> None:
    audits = Nights(5)
    other = requirements(EDITED, name="other")
    names = [
        audits.audit(required, snapshot).finding
        for required, snapshot in [
            (requirements(), ON),
            (requirements(), OFF_SCRATCH),
            (other, OFF_SCRATCH),
            (requirements(), OFF_SCRATCH),
            (other, OFF_SCRATCH),
        ]
    ]
    assert names == ["protected", "newly_unprotected", "exempt", "newly_unprotected", "exempt"]


def test_a_protected_snapshot_stays_protected_whatever_the_policy_and_the_exemptions() -> None:
    assert found(ON_SCRATCH, ON_SCRATCH, exemptions=exemption(NOW + DAY)) == ["protected", "protected"]


def test_an_approved_exemption_is_listed_with_its_reason_and_not_counted() -> None:
    audits = Nights(2)
    audits.audit(requirements(), ON)
    one = audits.audit(requirements(exemptions=exemption(NOW + timedelta(hours=1))), OFF)
    assert one.finding == "exempt"
    assert one.reason == (
        "approved until 2026-11-25 04:00 UTC: moved to the new cluster, approved by on call (as stated)"
    )
    assert not any((one.is_counted, one.is_violation, one.protection_removed, one.is_urgent))
    assert lacks_evidence(one)


def test_an_exemption_that_has_expired_is_red_and_counted_until_it_is_protected_again() -> None:
    audits = Nights(5)
    exempt = requirements(exemptions=exemption(NOW - 3 * DAY + timedelta(hours=1)))
    nights = [ON, OFF, OFF, OFF, ON]
    seen = [audits.audit(exempt, night) for night in nights]
    assert [one.finding for one in seen] == [
        "protected", "exempt", "exemption_expired", "exemption_expired", "newly_protected"
    ]  # fmt: skip
    assert [one.is_new for one in seen[2:4]] == [True, False]
    assert all(one.is_violation and one.is_urgent for one in seen[2:4])
    assert seen[2].reason == (
        "expired 2026-11-22 04:00 UTC, was for: moved to the new cluster, approved by on call (as stated)"
    )


def test_what_was_protected_again_after_the_expiry_and_is_unprotected_is_newly_unprotected() -> None:
    exempt = exemption(NOW - 3 * DAY + timedelta(hours=1))
    assert found(ON, OFF, ON, OFF, OFF, exemptions=exempt)[1:] == [
        "exempt", "newly_protected", "newly_unprotected", "newly_unprotected"
    ]  # fmt: skip


def test_what_an_approval_left_unprotected_before_any_audit_saw_it_has_an_expired_exemption() -> None:
    expired = exemption(NOW - 3 * DAY)
    assert found(OFF, OFF, exemptions=expired) == ["exemption_expired"] * 2


def test_an_exemption_that_came_and_went_between_two_audits_has_expired() -> None:
    exempt = exemption(NOW - timedelta(hours=1))
    audits = Nights(2)
    audits.audit(requirements(), ON)
    assert audits.audit(requirements(exemptions=exempt), OFF).finding == "exemption_expired"


def change(at: datetime, status: str = "success") -> Action:
    return Action.model_validate(
        {
            "id": 8,
            "status": status,
            "command": "change_protection",
            "started": at.isoformat(),
            "resources": [{"id": 1, "type": "image"}],
        }
    )


@pytest.mark.parametrize(
    ("started", "status", "finding", "evidence"),
    [
        (-timedelta(hours=2), "success", "exemption_expired", "action 8 of 2026-11-25"),
        (timedelta(minutes=1), "success", "newly_unprotected", "action 8 of 2026-11-25"),
        (timedelta(minutes=1), "error", "exemption_expired", "action 8 of 2026-11-23"),  # it changed nothing
    ],
)
def test_a_change_after_the_expiry_is_not_approved(
    started: timedelta, status: str, finding: FindingName, evidence: str
) -> None:
    until = NOW - timedelta(hours=1)
    expired = requirements(exemptions=exemption(until))
    audits = Nights(3)
    audits.audit(requirements(), ON)
    assert audits.audit(expired, OFF, change(until - timedelta(days=2))).finding == "exempt"
    one = audits.audit(expired, OFF, change(until + started, status))
    assert (one.finding, one.is_violation) == (finding, True)
    assert one.evidence.startswith(evidence)


def test_what_was_removed_after_the_expiry_stays_newly_unprotected_and_can_be_stored() -> None:
    until = NOW - DAY - timedelta(hours=1)
    expired = requirements(exemptions=exemption(until))
    audits = Nights(2)  # the first audit ever
    first = audits.audit(expired, OFF, change(until + timedelta(minutes=1)))
    assert (first.finding, first.since) == ("newly_unprotected", until + timedelta(minutes=1))
    assert audits.audit(expired, OFF).finding == "newly_unprotected"


@pytest.mark.parametrize(
    ("until", "last", "findings"),
    [
        (NOW + DAY, ON, ["missing_exempt", "missing_exempt"]),
        (NOW + DAY, OFF, ["missing_exempt", "missing_exempt"]),
        (NOW - timedelta(days=1.5), OFF, ["missing_exempt", "missing_exempt"]),
        (NOW - timedelta(days=2.5), OFF, ["missing_protected", "missing_protected"]),
        (NOW - timedelta(days=2.5), ON, ["missing_protected", "missing_protected"]),
    ],
)
def test_a_deletion_is_excused_if_the_exemption_was_valid_when_the_snapshot_was_last_listed(
    until: datetime, last: Mapping[str, bool], findings: list[FindingName]
) -> None:
    assert found(ON, last, None, None, exemptions=exemption(until))[2:] == findings


def test_what_was_protected_again_after_the_expiry_and_is_missing_is_red() -> None:
    until = NOW - timedelta(hours=2)
    required = requirements(exemptions=exemption(until))
    audits = Nights(2)
    audits.audit(required, ON)
    one = audits.audit(required, None, change(until + timedelta(minutes=1)))
    assert (one.finding, one.is_approved) == ("missing_protected", False)


def test_a_missing_exempt_snapshot_is_neither_red_nor_counted() -> None:
    audits = Nights(2)
    required = requirements(exemptions=exemption(NOW + DAY))
    audits.audit(required, ON)
    one = audits.audit(required, None)
    assert one.reason.startswith("approved until 2026-11-26 03:00 UTC: moved to the new cluster")
    assert not any((one.is_counted, one.protection_removed, one.is_urgent))


def test_an_exemption_whose_record_is_not_found_is_no_excuse() -> None:
    audits = Nights(3)
    audits.audit(requirements(), ON)
    audits.audit(requirements(exemptions=exemption(NOW + DAY)), OFF)
    one = audits.audit(requirements(), OFF)
    assert (one.finding, one.is_new) == ("newly_unprotected", True)
    assert one.reason == "its approved exemption is not found"


def test_evidence_of_an_exempt_snapshot_is_looked_up_only_if_its_removal_is_new() -> None:
    audits = Nights(4)
    seen = [audits.audit(requirements(), night) for night in (ON_SCRATCH, OFF_SCRATCH, OFF_SCRATCH)]
    assert [lacks_evidence(one) for one in seen] == [False, True, False]
    assert not lacks_evidence(Nights(1).audit(requirements(), OFF_SCRATCH))


_STATES = st.sampled_from(["protected", "unprotected", "removed", "missing"])
_EXEMPT_BY = st.sets(st.sampled_from(["default", "other"])).map(frozenset)


def _entry(state: State, exempt_by: frozenset[str], approved: bool) -> BaselineEntry:  # noqa: FBT001 - drawn
    return BaselineEntry(
        state, "", NOW - DAY if state in {"removed", "missing"} else None, "", exempt_by, approved
    )


_ENTRIES = st.builds(_entry, _STATES, _EXEMPT_BY, st.booleans())
_IMAGES = st.builds(image, st.integers(1, 8), protected=st.booleans(), scratch=st.booleans())
_UNTIL = st.sampled_from([NOW - 3 * DAY, NOW - timedelta(hours=1), NOW, NOW + DAY])


@given(
    images=st.lists(_IMAGES, max_size=8, unique_by=lambda one: one.id),
    known=st.dictionaries(st.integers(1, 8), _ENTRIES),
    expiries=st.dictionaries(st.integers(1, 8), _UNTIL),
    last=st.sampled_from([None, POLICY, EDITED]),
    random=st.randoms(),
)
def test_each_snapshot_has_one_finding_in_whatever_order_they_are_listed(
    images: list[Image],
    known: dict[int, BaselineEntry],
    expiries: dict[int, datetime],
    last: NamedPolicy | None,
    random: Any,
) -> None:
    exemptions = {number: exemption(until, number)[number] for number, until in expiries.items()}
    required = requirements(exemptions=exemptions)
    version = requirements(last).version(NOW - DAY) if last else None
    before = AuditBaseline("prod", "", NOW - DAY, known, policies={"default": version} if version else {})

    def compare() -> list[SnapshotFinding]:
        return compare_with_baseline(images, before, now=NOW, grace_hours=0, requirements=required)

    found = compare()
    assert sorted(one.image_id for one in found) == sorted({one.id for one in images} | known.keys())
    protected = {one.id for one in images if one.is_protected}
    assert {one.image_id for one in found if one.protected and not one.is_missing} == protected
    unprotected = {one.id for one in images} - protected
    unexpired = {number for number, until in expiries.items() if until > NOW}
    approved = {one.image_id for one in found if one.finding == "exempt" and one.is_approved}
    assert approved == unprotected & unexpired
    random.shuffle(images)
    assert compare() == found
