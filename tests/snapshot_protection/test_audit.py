"""What an audit finds, from a listing and what the last audit saw."""

from datetime import UTC, datetime, timedelta

import pytest

from hetzner_cloud.models import Action, Image
from snapshot_protection.audit import baseline_entries, compare_with_baseline
from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry
from snapshot_protection.audit_evidence import lacks_evidence, with_evidence
from snapshot_protection.audit_finding import FindingName, SnapshotFinding
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.unreadable import ListedSnapshot, UnreadableSnapshot

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
YOUNG, OLD = timedelta(hours=1), timedelta(days=30)


def image(image_id: int, *, protected: bool, age: timedelta | None = OLD, kind: str = "snapshot") -> Image:
    return Image.model_validate(
        {
            "id": image_id,
            "type": kind,
            "protection": {"delete": protected},
            "description": f"snapshot {image_id}",
            "created": (NOW - age).isoformat() if age is not None else None,
            "created_from": {"id": 1, "name": "db-1"},
            "image_size": 2.5,
        }
    )


def baseline(**protected: bool) -> AuditBaseline:
    return known(
        {
            int(name[1:]): BaselineEntry("protected" if value else "unprotected", f"snapshot {name[1:]}")
            for name, value in protected.items()
        }
    )


def known(snapshots: dict[int, BaselineEntry], listed: datetime = NOW - timedelta(days=1)) -> AuditBaseline:
    return AuditBaseline("prod", "", listed, snapshots)


def names(
    images: list[Image], before: AuditBaseline | None, grace_hours: float = 0
) -> list[tuple[int, FindingName]]:
    found = compare_with_baseline(images, before, now=NOW, grace_hours=grace_hours)
    return [(finding.image_id, finding.finding) for finding in found]


@pytest.mark.parametrize(
    ("now", "before", "grace_hours", "finding"),
    [
        (image(1, protected=True), None, 0, "protected"),
        (image(1, protected=False), None, 0, "unprotected"),
        (image(1, protected=False, age=YOUNG), None, 2, "in_grace_period"),
        (image(1, protected=True), baseline(_1=True), 0, "protected"),
        (image(1, protected=True), baseline(_1=False), 0, "newly_protected"),
        (image(1, protected=True), baseline(_2=True), 0, "new"),
        (image(1, protected=False), baseline(_1=True), 0, "newly_unprotected"),
        (image(1, protected=False), baseline(_1=False), 0, "unprotected"),
        (image(1, protected=False), baseline(_2=True), 0, "new_unprotected"),
        (image(1, protected=False, age=YOUNG), baseline(_2=True), 2, "in_grace_period"),
        (image(1, protected=False, age=YOUNG), baseline(_1=True), 2, "newly_unprotected"),
        (image(1, protected=True, age=YOUNG), baseline(_1=True), 2, "protected"),
        (image(1, protected=False, age=timedelta(hours=2)), None, 2, "unprotected"),
        (image(1, protected=False, age=None), None, 2, "unprotected"),
    ],
)
def test_a_snapshot_is_classified_by_what_it_is_and_was(
    now: Image, before: AuditBaseline | None, grace_hours: float, finding: FindingName
) -> None:
    assert (1, finding) in names([now], before, grace_hours)


def test_what_is_listed_no_more_is_missing_and_it_matters_whether_it_was_protected() -> None:
    assert names([], baseline(_1=False, _2=True)) == [(2, "missing_protected"), (1, "missing")]


def test_the_most_severe_comes_first_and_each_snapshot_once() -> None:
    before = baseline(_1=True, _2=False, _3=True, _4=False, _9=True)
    images = [image(number, protected=number in {1, 4, 5}) for number in range(1, 7)]
    assert names(images, before) == [
        (3, "newly_unprotected"),
        (9, "missing_protected"),
        (6, "new_unprotected"),
        (2, "unprotected"),
        (4, "newly_protected"),
        (5, "new"),
        (1, "protected"),
    ]


def test_only_snapshots_are_audited() -> None:
    assert names([image(1, protected=False, kind="backup"), image(2, protected=True)], None) == [
        (2, "protected")
    ]


@pytest.mark.parametrize(
    ("finding", "is_counted", "is_violation"),
    [
        ("newly_unprotected", True, True),
        ("missing_protected", False, False),
        ("new_unprotected", True, True),
        ("unprotected", True, True),
        ("in_grace_period", False, False),
        ("missing", False, False),
        ("newly_protected", True, False),
        ("new", True, False),
        ("protected", True, False),
    ],
)
def test_what_is_missing_or_in_its_grace_period_is_not_counted(
    finding: FindingName, *, is_counted: bool, is_violation: bool
) -> None:
    before = baseline(_1=True, _2=False, _3=True, _4=False, _7=True, _8=False)
    images = [
        image(1, protected=True),
        image(2, protected=False),
        image(3, protected=False),
        image(4, protected=True),
        image(5, protected=True),
        image(6, protected=False),
        image(9, protected=False, age=YOUNG),
    ]
    [found] = [
        one for one in compare_with_baseline(images, before, now=NOW, grace_hours=2) if one.finding == finding
    ]
    assert (found.is_counted, found.is_violation) == (is_counted, is_violation)


def test_a_baseline_makes_the_next_audit_find_nothing_new() -> None:
    images = [image(1, protected=True), image(2, protected=False)]
    first = compare_with_baseline(images, baseline(_3=False), now=NOW, grace_hours=0)
    again = known(baseline_entries(first))
    assert names(images, again) == [(2, "unprotected"), (1, "protected")]


def action(action_id: int, image_id: int, command: str = "change_protection") -> Action:
    return Action.model_validate(
        {
            "id": action_id,
            "status": "success",
            "command": command,
            "started": "2026-11-24T22:15:00Z",
            "resources": [{"id": image_id, "type": "image"}],
        }
    )


def test_the_newest_change_of_protection_is_the_evidence_and_only_where_protection_was_removed() -> None:
    images = [image(1, protected=False), image(2, protected=False)]
    findings = compare_with_baseline(images, baseline(_1=True, _2=False), now=NOW, grace_hours=0)
    actions = [action(9, 1, "transfer"), action(8, 1), action(7, 1), action(6, 2)]
    found = {one.image_id: one.evidence for one in with_evidence(findings, actions)}
    assert found == {1: "action 8 of 2026-11-24 22:15:00 UTC", 2: ""}


def test_a_failed_action_is_not_the_one_that_removed_the_protection() -> None:
    findings = compare_with_baseline([image(1, protected=False)], baseline(_1=True), now=NOW, grace_hours=0)
    failed = action(9, 1).model_copy(update={"status": "error"})
    [found] = with_evidence(findings, [failed, action(8, 1)])
    assert found.evidence == "action 8 of 2026-11-24 22:15:00 UTC"


@pytest.mark.parametrize(("before", "finding"), [(True, "missing_protected"), (False, "missing")])
def test_a_listed_snapshot_with_a_date_of_deletion_is_missing(*, before: bool, finding: FindingName) -> None:
    deleted = image(1, protected=True).model_copy(update={"deleted": NOW - timedelta(hours=1)})
    assert names([deleted], baseline(_1=before)) == [(1, finding)]
    assert names([deleted], None) == []


def test_no_evidence_is_given_where_none_is_found() -> None:
    findings = compare_with_baseline([image(1, protected=False)], baseline(_1=True), now=NOW, grace_hours=0)
    assert [one.evidence for one in with_evidence(findings, [action(6, 2)])] == [""]


def test_the_time_of_the_evidence_is_given_in_utc_whatever_the_api_s_zone() -> None:
    elsewhere = action(8, 1).model_dump(mode="json") | {"started": "2026-11-25T00:15:00+02:00"}
    findings = compare_with_baseline([image(1, protected=False)], baseline(_1=True), now=NOW, grace_hours=0)
    [found] = with_evidence(findings, [Action.model_validate(elsewhere)])
    assert found.evidence == "action 8 of 2026-11-24 22:15:00 UTC"


def audits(
    *listings: list[Image], every: timedelta = timedelta(days=1), grace_hours: float = 0
) -> list[list[SnapshotFinding]]:
    """Audit a project again and again, the last time now; return what each one finds."""
    before, found = None, []
    for number, images in enumerate(listings):
        now = NOW - every * (len(listings) - 1 - number)
        found.append(compare_with_baseline(images, before, now=now, grace_hours=grace_hours))
        before = known(baseline_entries(found[-1]), now)
    return found


def red(findings: list[SnapshotFinding]) -> list[tuple[int, datetime | None, bool]]:
    return [(one.image_id, one.since, one.is_new) for one in findings if one.protection_removed]


def test_what_lost_its_protection_is_red_in_each_audit_until_it_is_protected_again() -> None:
    on, off = [image(1, protected=True)], [image(1, protected=False)]
    found = audits(on, off, off, off, on, off)
    first = NOW - timedelta(days=4)
    assert [red(each) for each in found] == [
        [],
        [(1, first, True)],
        [(1, first, False)],
        [(1, first, False)],
        [],
        [(1, NOW, True)],
    ]
    assert {one.finding for each in found for one in each if one.protection_removed} == {"newly_unprotected"}
    assert all(one.is_violation for one in found[3])


def test_what_was_protected_once_is_never_in_its_grace_period() -> None:
    on, off = image(1, protected=True, age=YOUNG), image(1, protected=False, age=YOUNG)
    found = audits([on], [off], [off], [off], every=timedelta(minutes=5), grace_hours=72)
    assert [each[0].finding for each in found[1:]] == ["newly_unprotected"] * 3


def test_what_leaves_its_grace_period_is_new_once() -> None:
    young = image(1, protected=False, age=timedelta(hours=27))
    found = audits([young], [young], [young], every=timedelta(hours=2), grace_hours=24)
    assert [(one.finding, one.is_new) for [one] in found] == [
        ("in_grace_period", False),
        ("unprotected", True),
        ("unprotected", False),
    ]


def test_what_was_never_protected_stays_in_its_grace_period() -> None:
    off = image(1, protected=False, age=YOUNG)
    found = audits([off], [off], every=timedelta(minutes=5), grace_hours=72)
    assert [each[0].finding for each in found] == ["in_grace_period"] * 2


@pytest.mark.parametrize(
    ("ahead", "finding"),
    [(timedelta(minutes=5), "in_grace_period"), (timedelta(minutes=6), "unprotected")],
)
def test_a_creation_date_in_the_future_is_no_grace(ahead: timedelta, finding: FindingName) -> None:
    assert names([image(1, protected=False, age=-ahead)], None, grace_hours=72) == [(1, finding)]


def test_a_missing_protected_snapshot_is_reported_for_a_week() -> None:
    found = audits([image(1, protected=True)], *([[]] * 10))
    first = NOW - timedelta(days=9)
    assert [red(each) for each in found] == [
        [],
        [(1, first, True)],
        *([[(1, first, False)]] * 6),
        *([[]] * 3),
    ]


def test_an_unprotected_snapshot_that_is_deleted_is_missing_once() -> None:
    found = audits([image(1, protected=False)], [], [])
    assert [[one.finding for one in each] for each in found] == [["unprotected"], ["missing"], []]


def test_what_lost_its_protection_and_is_deleted_by_the_next_audit_is_red_too() -> None:
    found = audits([image(1, protected=True)], [image(1, protected=False)], [])
    assert [one.finding for one in found[-1]] == ["missing_protected"]
    assert red(found[-1]) == [(1, NOW, True)]


def test_a_missing_snapshot_that_is_listed_again_unprotected_is_red() -> None:
    found = audits([image(1, protected=True)], [], [image(1, protected=False)])
    assert red(found[-1]) == [(1, NOW, True)]


def test_a_time_of_a_clock_that_was_ahead_is_not_kept() -> None:
    ahead = BaselineEntry("missing", since=NOW + timedelta(days=365))
    [found] = compare_with_baseline([], known({1: ahead}), now=NOW, grace_hours=0)
    assert found.since == NOW


def test_evidence_is_kept_and_not_looked_up_again() -> None:
    before = known(
        {1: BaselineEntry("removed", "snapshot 1", since=NOW - timedelta(days=9), evidence="action 3")}
    )
    findings = compare_with_baseline([image(1, protected=False)], before, now=NOW, grace_hours=0)
    assert not any(lacks_evidence(one) for one in findings)
    assert [one.evidence for one in with_evidence(findings, [action(8, 1)])] == ["action 3"]
    assert baseline_entries(findings)[1] == before.snapshots[1]


def unread(image_id: int) -> UnreadableSnapshot:
    return UnreadableSnapshot(image_id, ErrorInfo(code="unreadable", message="could not be read: no type"))


def test_a_snapshot_that_cannot_be_read_counts_neither_as_protected_nor_as_unprotected() -> None:
    [first, second] = compare_with_baseline(
        [image(1, protected=True), unread(2)], baseline(_1=True, _2=True), now=NOW, grace_hours=0
    )
    assert (first.image_id, first.finding, first.reason) == (2, "unreadable", "could not be read: no type")
    assert (first.description, first.is_counted, first.protected) == ("snapshot 2", True, False)
    assert not first.is_violation
    assert not first.protection_removed
    assert second.finding == "protected"


@pytest.mark.parametrize("known", [True, False])
def test_the_baseline_keeps_what_it_has_of_a_snapshot_that_cannot_be_read(*, known: bool) -> None:
    before = baseline(_1=True, _2=known)
    listing: list[ListedSnapshot] = [image(1, protected=True), unread(2), unread(3)]
    findings = compare_with_baseline(listing, before, now=NOW, grace_hours=0)
    assert baseline_entries(findings) == before.snapshots


def test_what_is_not_listed_may_be_the_entry_that_has_no_id() -> None:
    before = baseline(_1=True, _2=False, _3=True)
    findings = compare_with_baseline(
        [image(1, protected=True)], before, now=NOW, grace_hours=0, has_entries_without_id=True
    )
    assert [(one.image_id, one.finding) for one in findings] == [
        (2, "unreadable"), (3, "unreadable"), (1, "protected")
    ]  # fmt: skip
    assert "an entry without a valid id may be it" in findings[0].reason
    assert baseline_entries(findings) == before.snapshots
