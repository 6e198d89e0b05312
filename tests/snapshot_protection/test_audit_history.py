"""What is known from the stored versions of a baseline, whatever overlapped, in whatever order written."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, PolicyVersion, TrendPoint
from snapshot_protection.audit_baseline_format import StoredPage
from snapshot_protection.audit_history import AuditHistory, fold, read_history
from tests.support.overlapping_audits import Advance, Change, OverlappingAudit, Step, World
from tests.support.stored_baselines import stored, stored_by_0_4_0

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
ON, OFF = BaselineEntry("protected"), BaselineEntry("unprotected")
SCRIBBLED = StoredPage("scribbled", "scribbled over", "The baseline for the next audit of prod.")


def removed(since: datetime, evidence: str = "") -> BaselineEntry:
    return BaselineEntry("removed", "", since, evidence)


def missing(since: datetime) -> BaselineEntry:
    return BaselineEntry("missing", "", since)


def baseline(
    snapshots: Mapping[int, BaselineEntry], listed: datetime = NOW, *folded: str, project: str = "prod"
) -> AuditBaseline:
    return AuditBaseline(project, "", listed, snapshots, folded=frozenset(folded))


def read(*pages: StoredPage) -> AuditHistory:
    return read_history(pages, "prod", "")


def snapshots_in(history: AuditHistory) -> Mapping[int, BaselineEntry]:
    assert history.baseline
    return history.baseline.snapshots


def test_a_project_that_was_never_audited_has_no_history_and_none_is_lost() -> None:
    assert read() == AuditHistory()
    assert not read().is_lost


def test_a_version_that_a_later_one_knows_adds_nothing() -> None:
    older, newer = baseline({1: ON, 2: ON}, EARLIER), baseline({1: ON}, NOW, "a")
    history = read(stored("b", newer), stored("a", older))
    assert snapshots_in(history) == {1: ON}
    assert history.versions == {"a", "b"}


def test_what_only_one_of_two_overlapping_audits_knows_is_known_in_whatever_order_they_are_written() -> None:
    older, newer = baseline({1: ON, 3: ON}, EARLIER), baseline({2: ON, 3: removed(NOW)}, NOW)
    pages = stored("a", older), stored("b", newer)
    for order in permutations(pages):
        history = read(*order)
        assert snapshots_in(history) == {1: ON, 2: ON, 3: removed(NOW)}
        assert history.baseline
        assert history.baseline.listed == NOW


@pytest.mark.parametrize(
    ("older", "newer", "known"),
    [
        (ON, ON, ON),
        (OFF, ON, ON),
        (ON, OFF, ON),  # its loss was not reported: the next audit finds it new
        (missing(EARLIER), OFF, ON),
        (ON, removed(NOW), removed(NOW)),
        (OFF, removed(NOW), removed(NOW)),
        (removed(EARLIER), OFF, removed(EARLIER)),
        (removed(EARLIER, "action 7"), removed(NOW), removed(EARLIER, "action 7")),
        (removed(NOW), removed(EARLIER), removed(EARLIER)),
        (removed(EARLIER), ON, ON),
        (ON, missing(NOW), missing(NOW)),
        (missing(EARLIER), missing(NOW), missing(EARLIER)),
        (removed(EARLIER), missing(NOW), missing(NOW)),
    ],
)
def test_of_what_both_know_the_later_listing_decides_and_protected_once_stays_so(
    older: BaselineEntry, newer: BaselineEntry, known: BaselineEntry
) -> None:
    assert fold(baseline({1: newer}, NOW), baseline({1: older}, EARLIER)).snapshots == {1: known}


VERSION = PolicyVersion("default", "0" * 64, EARLIER)
RENEWED = PolicyVersion("default", "f" * 64, NOW)
BY_RULE = frozenset({"default"})


@pytest.mark.parametrize(
    ("older", "newer", "policies", "exempt_by"),
    [
        (ON, OFF._replace(exempt_by=BY_RULE), (VERSION, VERSION), set()),  # its label was changed in between
        (removed(EARLIER), OFF._replace(exempt_by=BY_RULE), (VERSION, VERSION), set()),
        (removed(EARLIER), removed(NOW)._replace(exempt_by=BY_RULE), (VERSION, VERSION), set()),
        (
            ON._replace(exempt_by=BY_RULE),
            removed(NOW)._replace(exempt_by=BY_RULE),
            (VERSION, VERSION),
            BY_RULE,
        ),
        (removed(EARLIER), ON._replace(exempt_by=BY_RULE), (VERSION, VERSION), BY_RULE),
        (removed(EARLIER), removed(NOW)._replace(exempt_by=BY_RULE), (VERSION, RENEWED), BY_RULE),
        (ON._replace(exempt_by=BY_RULE), removed(NOW), (VERSION, RENEWED), set()),
        (ON._replace(exempt_by=BY_RULE), ON, (VERSION, None), BY_RULE),
        (ON, ON._replace(exempt_by=BY_RULE), (None, RENEWED), BY_RULE),
        (ON._replace(exempt_by=BY_RULE), ON, (RENEWED, VERSION), BY_RULE),  # the newer one followed another
    ],
)
def test_a_rule_excuses_an_unprotected_snapshot_only_if_both_audits_of_one_policy_found_that(
    older: BaselineEntry,
    newer: BaselineEntry,
    policies: tuple[PolicyVersion | None, PolicyVersion | None],
    exempt_by: set[str],
) -> None:
    first, second = (
        replace(baseline({1: one}, listed), policies={"default": policy} if policy else {})
        for one, listed, policy in zip((older, newer), (EARLIER, NOW), policies, strict=True)
    )
    folded = fold(second, first)
    assert folded.snapshots[1].exempt_by == exempt_by
    assert folded.policies["default"] == (RENEWED if RENEWED in policies else VERSION)


def test_an_approved_exemption_counts_as_the_later_listing_found_it() -> None:
    for approved in (True, False):
        older, newer = (
            removed(EARLIER)._replace(approved=not approved),
            removed(NOW)._replace(approved=approved),
        )
        folded = fold(baseline({1: older}, EARLIER), baseline({1: newer}, NOW))
        assert folded.snapshots[1].approved is approved


def test_an_unreadable_version_is_passed_over_for_an_earlier_one() -> None:
    history = read(SCRIBBLED, stored("a", baseline({1: ON})))
    assert snapshots_in(history) == {1: ON}
    assert (history.unreadable, history.is_lost) == (1, False)


def test_an_unreadable_version_is_reported_once() -> None:
    history = read(
        stored("b", baseline({1: ON}, NOW, "scribbled", "a")), SCRIBBLED, stored("a", baseline({}))
    )
    assert history.unreadable == 0


def test_another_project_s_version_is_unreadable() -> None:
    history = read(stored("b", baseline({2: ON}, project="other")), stored("a", baseline({1: ON})))
    assert (snapshots_in(history), history.unreadable) == ({1: ON}, 1)


def test_nothing_but_unreadable_versions_is_a_lost_history() -> None:
    history = read(SCRIBBLED)
    assert history.is_lost
    assert history.baseline is None


def test_more_versions_are_wanted_until_the_oldest_one_is_known_to_a_later_one() -> None:
    b, a = stored("b", baseline({}, NOW)), stored("a", baseline({}, EARLIER))
    assert not read(b, a).is_whole
    assert read(stored("c", baseline({}, NOW, "a", "b")), b, a).is_whole
    assert not read(SCRIBBLED).is_whole


def test_of_what_0_4_0_stored_the_last_audit_counts_also_if_it_was_written_first() -> None:
    pages = [stored_by_0_4_0("b", {1: False}, NOW), stored_by_0_4_0("a", {1: True, 2: True}, EARLIER)]
    for order in permutations(pages):
        history = read(*order)
        assert snapshots_in(history) == {1: BaselineEntry("unprotected", "snapshot 1")}
        assert history.is_whole
        assert history.baseline
        assert history.baseline.trend == (TrendPoint(1, 2),)


def test_what_0_4_0_stored_is_replaced_by_the_first_version_that_knows_it() -> None:
    history = read(stored("b", baseline({3: ON}, NOW, "a")), stored_by_0_4_0("a", {1: True}, EARLIER))
    assert snapshots_in(history) == {3: ON}


def test_a_lost_history_is_known_to_later_audits() -> None:
    lost = AuditBaseline("prod", "", EARLIER, {}, history_lost=EARLIER)
    assert fold(lost, baseline({}, NOW)).history_lost == EARLIER


CHANGES = st.builds(
    Change,
    st.sampled_from(["create protected", "create", "protect", "unprotect", "unprotect", "delete"]),
    st.integers(0, 4),
)
ADVANCES = st.builds(Advance, st.integers(0, 2))
STEPS = st.lists(st.one_of(CHANGES, ADVANCES, ADVANCES), min_size=15, max_size=40)
SKEWS = st.lists(st.integers(-10, 10), min_size=3, max_size=3)


@given(steps=STEPS, skews=SKEWS, finished=st.sets(st.integers(0, 2)))
def test_nothing_that_was_listed_protected_is_lost_unreported_however_audits_overlap(
    steps: list[Step], skews: list[int], finished: set[int]
) -> None:
    world = World([OverlappingAudit("a", timedelta(minutes=skew)) for skew in skews])
    assert_all_is_reported(world, steps, finished)


EXEMPTING = st.builds(
    Change,
    st.sampled_from(["create exempt", "relabel", "relabel", "approve", "edit policy"]),
    st.integers(0, 4),
)
STEPS_WITH_EXEMPT = st.lists(st.one_of(CHANGES, EXEMPTING, ADVANCES, ADVANCES), min_size=15, max_size=40)


@given(steps=STEPS_WITH_EXEMPT, skews=SKEWS, finished=st.sets(st.integers(0, 2)))
def test_a_removal_is_excused_only_by_approval_or_by_a_rule_that_matched_before_however_audits_overlap(
    steps: list[Step], skews: list[int], finished: set[int]
) -> None:
    world = World([OverlappingAudit("a", timedelta(minutes=skew)) for skew in skews])
    assert_all_is_reported(world, steps, finished)


def assert_all_is_reported(world: World, steps: list[Step], finished: set[int]) -> None:
    """Let some audits be killed on their way, and let two more follow."""
    for step in steps:
        world.take(step)
    for number in finished:
        world.finish(world.audits[number])
    for _ in range(2):
        world.audits.append(OverlappingAudit(world.audits[0].tokens))
        world.finish(world.audits[-1])
    for audit in world.audits:
        assert not audit.is_stored or not world.untruths(audit)


TOKENS = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=3, max_size=3)


@given(steps=STEPS, skews=SKEWS, finished=st.sets(st.integers(0, 2)), tokens=TOKENS)
def test_nothing_is_lost_unreported_where_a_project_is_audited_by_two_tokens(
    steps: list[Step], skews: list[int], finished: set[int], tokens: list[str]
) -> None:
    pairs = zip(tokens, skews, strict=True)
    world = World([OverlappingAudit(token, timedelta(minutes=skew)) for token, skew in pairs])
    assert_all_is_reported(world, steps, finished)


@given(steps=STEPS_WITH_EXEMPT, skews=SKEWS, finished=st.sets(st.integers(0, 2)), tokens=TOKENS)
def test_a_removal_is_excused_by_an_exemption_of_either_name_of_a_project(
    steps: list[Step], skews: list[int], finished: set[int], tokens: list[str]
) -> None:
    pairs = zip(tokens, skews, strict=True)
    world = World([OverlappingAudit(token, timedelta(minutes=skew)) for token, skew in pairs])
    assert_all_is_reported(world, steps, finished)
