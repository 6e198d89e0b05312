"""Which snapshots of a project are candidates, and why each of the others is kept."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.models import Image
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import Keep, Policy, Rule
from snapshot_protection.requirements import Requirements
from snapshot_protection.retention import Group, ProjectLists, Retention, apply_retention
from snapshot_protection.unreadable import UNREADABLE, ListedSnapshot, Listing, UnreadableSnapshot
from tests.support.retention_worlds import (
    GROUPS,
    KEEPS,
    NOW,
    PRUNED,
    TIMES,
    ZONES,
    keep,
    kept_slowly,
    lists,
    requirements,
    snapshot,
)

EXEMPT_UNTIL = NOW + timedelta(hours=2)


@dataclass
class Server:
    image_id: int | None


def exempt(image_id: int) -> Exemption:
    return Exemption(
        image_id=image_id,
        until=EXEMPT_UNTIL,
        reason="moved to the new cluster",
        approved_by="Kim",
        flow_run_id=UUID(int=1),
    )


def unreadable(image_id: int) -> UnreadableSnapshot:
    return UnreadableSnapshot(image_id, ErrorInfo(code=UNREADABLE, message="could not be read: protection"))


def classify(*images: ListedSnapshot, now: datetime = NOW) -> Retention:
    return apply_retention(ProjectLists(Listing(images), frozenset()), requirements(), now)


def kinds(retention: Retention, image_id: int) -> list[str]:
    return [reason.kind for reason in retention.verdicts[image_id].reasons]


def candidates(retention: Retention) -> list[int]:
    return [image.id for image in retention.candidates]


def test_all_but_what_is_kept_are_candidates_and_the_oldest_is_the_first() -> None:
    retention = apply_retention(
        lists(snapshot(3), snapshot(1), snapshot(2)), requirements(_only_the_newest()), NOW
    )
    assert candidates(retention) == [1, 2]
    assert retention.verdicts[3].kept_by == "the newest"
    assert retention.verdicts[1].group == Group("prod", "pruned", 1)
    assert retention.verdicts[1].rule == "pruned"


def _only_the_newest(**fields: Any) -> Rule:
    return PRUNED.model_copy(update={"keep": keep(**fields)})


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({}, []),
        ({"labels": {}}, ["no_rule"]),
        ({"labels": {"env": "prod"}}, ["rule_keeps"]),
        ({"created_from": None}, ["no_source"]),
        ({"created_from": {"id": None, "name": "web-1"}}, ["no_source"]),
        ({"created_from": {"id": 0, "name": "web-1"}}, ["no_source"]),
        ({"created_from": {"id": -1, "name": "web-1"}}, ["no_source"]),
        ({"created_from": {"id": 1, "name": None}}, ["unreadable", "no_source"]),
        ({"created_from": {"id": 1}}, ["unreadable", "no_source"]),
        ({"created_from": {"id": True, "name": "web-1"}}, ["no_source"]),
        ({"labels": {"env": "dev", "keep": None}}, ["no_rule", "unreadable"]),
        ({"labels": None}, ["no_rule", "unreadable"]),
        ({"description": None}, ["unreadable"]),
        ({"description": ["keep"]}, ["unreadable"]),
        ({"description": ""}, []),
        ({"status": "creating"}, ["not_available"]),
        ({"status": "unavailable"}, ["not_available"]),
        ({"status": None}, ["not_available"]),
        ({"status": "of tomorrow"}, ["not_available"]),
        ({"created": "2026-13-45"}, ["no_date"]),
        ({"created": "1970-01-01T00:00:00Z"}, ["no_date"]),
        ({"created": "0001-01-01T00:00:00Z"}, ["no_date"]),
        ({"created": "2026-11-25T12:00:01Z"}, ["future"]),
        ({"created": "9999-12-31T23:59:59Z"}, ["future"]),
        ({"deleted": "2026-11-25T00:00:00Z"}, ["deleted"]),
        (
            {"labels": {}, "status": "creating", "created_from": None},
            ["no_rule", "not_available", "no_source"],
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/St_Johns"])
def test_what_is_not_certain_is_kept_and_takes_no_place_of_another(
    fields: dict[str, Any], reasons: list[str], zone: str
) -> None:
    """Nor does it matter where it stands: the newest of the others is kept as if it were not there."""
    fields = {"created": NOW} | fields
    others = [snapshot(1, NOW - timedelta(days=9)), snapshot(2, NOW - timedelta(days=8))]
    wanted = requirements(_only_the_newest(), *requirements().policy.rules[1:], timezone=zone)
    retention = apply_retention(lists(*others, snapshot(3, **fields)), wanted, NOW)
    assert kinds(retention, 3) == (reasons or ["last"])
    assert candidates(retention) == ([1] if reasons else [1, 2])


def test_a_snapshot_that_could_not_be_read_is_kept_with_the_cause() -> None:
    retention = classify(unreadable(3), snapshot(1))
    assert retention.verdicts[3].kept_by == "could not be read: protection"
    assert retention.verdicts[3].rule == ""
    assert kinds(retention, 3) == ["unreadable"]


def test_what_a_rule_before_might_keep_is_not_pruned_by_one_without_conditions() -> None:
    rules = [Rule(name="keep", label_selector="keep"), Rule(name="rest", prune=True, keep=keep())]
    images = [snapshot(1, labels={"keep": 1}), snapshot(2, labels={"keep": "1"}), snapshot(3), snapshot(4)]
    retention = apply_retention(lists(*images), requirements(*rules), NOW)
    assert candidates(retention) == [3]
    assert retention.verdicts[1].kept_by == "no rule matches; could not be read: labels"


def test_an_approved_exemption_keeps_a_snapshot_and_a_rule_that_does_not_protect_does_not() -> None:
    unprotected = _only_the_newest().model_copy(update={"protect": False})
    images = [snapshot(one) for one in (1, 2, 3, 4)]
    retention = apply_retention(lists(*images), requirements(unprotected, exempt=[exempt(4), exempt(1)]), NOW)
    assert kinds(retention, 4) == ["exempt"]
    assert kinds(retention, 1) == ["exempt"]
    assert retention.verdicts[4].kept_by == (
        "exempt, approved until 2026-11-25 14:00 UTC: moved to the new cluster, approved by Kim (as stated)"
    )
    assert kinds(retention, 3) == ["last"]  # the exempt one may be deleted at any time: it does not count
    assert candidates(retention) == [2]


def test_a_rule_that_does_not_prune_keeps_also_what_need_not_be_protected() -> None:
    scratch = Rule(name="scratch", label_selector="env=dev", protect=False)
    retention = apply_retention(lists(snapshot(1), snapshot(2)), requirements(scratch), NOW)
    assert kinds(retention, 1) == kinds(retention, 2) == ["rule_keeps"]


def test_the_image_of_a_server_is_kept_and_counts_like_any_other() -> None:
    servers = [Server(1), Server(3), Server(None), Server(3), Server(99)]
    project = ProjectLists.of(Listing([snapshot(one) for one in (1, 2, 3)]), servers)
    assert project.images_in_use == {1, 3, 99}
    retention = apply_retention(project, requirements(_only_the_newest()), NOW)
    assert kinds(retention, 1) == ["in_use"]
    assert kinds(retention, 3) == ["last", "in_use"]
    assert candidates(retention) == [2]


def test_without_both_lists_no_candidate_can_be_determined() -> None:
    with pytest.raises(TypeError):
        ProjectLists(Listing([]))  # type: ignore[call-arg]


def test_servers_are_distinguished_by_id_and_never_by_name() -> None:
    renamed = snapshot(1, created_from={"id": 1, "name": "old name"})
    namesake = snapshot(2, created_from={"id": 2, "name": "web-1"})
    retention = apply_retention(lists(renamed, namesake, snapshot(3)), requirements(_only_the_newest()), NOW)
    assert candidates(retention) == [1]
    assert kinds(retention, 2) == ["last"]


def test_each_rule_counts_its_own_snapshots_of_a_server() -> None:
    by_hand = Rule(name="by hand", label_selector="by=hand", prune=True, keep=keep())
    images = [
        snapshot(1),
        snapshot(2, labels={"by": "hand"}),
        snapshot(3, labels={"by": "hand"}),
        snapshot(4),
    ]
    retention = apply_retention(lists(*images), requirements(by_hand, _only_the_newest()), NOW)
    assert candidates(retention) == [1, 2]
    assert kinds(retention, 3) == ["last"]


def test_an_entry_that_is_no_snapshot_is_not_considered() -> None:
    retention = classify(snapshot(1), snapshot(2, type="backup"), snapshot(3, type="system"))
    assert list(retention.verdicts) == [1]


def test_a_snapshot_that_is_listed_twice_counts_once_and_with_other_contents_not_at_all() -> None:
    wanted = requirements(_only_the_newest(last=2))
    images = [snapshot(1), snapshot(2), snapshot(3)]
    assert candidates(apply_retention(lists(*images, images[2]), wanted, NOW)) == [1]
    for changed in (snapshot(3, status="creating"), snapshot(3, type="backup")):
        retention = apply_retention(lists(*images, changed), wanted, NOW)
        assert kinds(retention, 3) == ["unreadable"]
        assert retention.verdicts[3].kept_by == "listed twice, with different contents"
        assert candidates(retention) == []


def test_the_newer_ones_of_a_group_are_those_that_would_remain() -> None:
    images = [snapshot(1), snapshot(2), snapshot(3), snapshot(4, created_from={"id": 2, "name": "b"})]
    exempted = [snapshot(5), snapshot(6, status="creating")]
    retention = apply_retention(lists(*images, *exempted), requirements(exempt=[exempt(5)]), NOW)
    assert [retention.newer_of_group(one) for one in (1, 2, 3, 4, 5, 6)] == [[2, 3], [3], [], [], [], []]


_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "created": TIMES,
            "created_from": st.sampled_from([None, {"id": 1, "name": "a"}, {"id": 2, "name": "a"}]),
            "status": st.sampled_from(["available", "available", "available", "creating"]),
            "labels": st.sampled_from([{}, {"env": "prod"}, {"env": "dev"}, {"env": "dev"}, {"env": "test"}]),
        }
    ),
    max_size=20,
)
_TEST_RULE = Rule(name="test", label_selector="env=test", prune=True)


@given(_ENTRIES, KEEPS, KEEPS, st.sampled_from(ZONES), st.sets(st.integers(1, 20), max_size=3), st.randoms())
def test_a_second_slow_implementation_finds_the_same_candidates(
    entries: list[dict[str, Any]],
    first: Keep,
    second: Keep,
    zone: str,
    used: set[int],
    random: Any,
) -> None:
    images = [snapshot(image_id, **entry) for image_id, entry in enumerate(entries, 1)]
    rules = [PRUNED.model_copy(update={"keep": first}), _TEST_RULE.model_copy(update={"keep": second})]
    exemptions = [exempt(image_id) for image_id in range(1, 21, 7)]
    wanted = requirements(*rules, exempt=exemptions, timezone=zone)
    expected = _candidates_slowly(images, wanted, used)
    random.shuffle(images)
    retention = apply_retention(lists(*images, in_use=used), wanted, NOW)
    assert set(candidates(retention)) == expected
    assert list(retention.candidates) == sorted(retention.candidates, key=lambda one: (one.created, one.id))


def _candidates_slowly(images: Sequence[Image], wanted: Requirements, used: set[int]) -> set[int]:
    found = set()
    for image in images:
        for rule in wanted.policy.rules:
            counted = [
                (other.created, other.id)
                for other in images
                if other.created_from
                and image.created_from
                and other.created_from.id == image.created_from.id
                and other.labels == image.labels == {"env": {"pruned": "dev", "test": "test"}[rule.name]}
                and other.status == "available"
                and other.id not in wanted.exemptions
                and other.created
                and other.created <= NOW
            ]
            if (image.created, image.id) in counted and image.id not in used:
                kept = kept_slowly(rule.keep, counted, wanted.policy.timezone, NOW)
                found |= {image.id} - kept
    return found


@given(GROUPS.filter(bool), KEEPS, st.integers(1, 60))
def test_a_snapshot_of_the_future_displaces_none_of_today(
    group: list[tuple[datetime, int]], keep: Keep, size: int
) -> None:
    wanted = requirements(PRUNED.model_copy(update={"keep": keep}))
    images = [snapshot(image_id, time) for time, image_id in group]
    future = [snapshot(100 + hours, NOW + timedelta(hours=hours)) for hours in range(1, size)]
    alone = apply_retention(lists(*images), wanted, NOW)
    assert candidates(apply_retention(lists(*images, *future), wanted, NOW)) == candidates(alone)


def test_planning_grows_with_the_number_of_snapshots_and_no_faster() -> None:
    """Counted in calls, which do not depend on the machine; one server, so that all are in one group."""
    small, large = _count_calls(1_000), _count_calls(10_000)
    assert large < 11 * small
    assert large < 100 * 10_000


def _count_calls(number: int) -> int:
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    images = [
        snapshot(at, begin + timedelta(minutes=at * 7_000_000 / number / 10)) for at in range(1, number)
    ]
    project, wanted = lists(*images), Requirements("prod", Policy(rules=[PRUNED]))
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        retention = apply_retention(project, wanted, NOW)
    finally:
        sys.setprofile(before)
    assert len(retention.candidates) > number // 2
    return calls
