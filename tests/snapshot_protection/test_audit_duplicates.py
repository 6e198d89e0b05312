"""Two tokens of one project: noticed by a shared image, counted once, each knows what the other knows."""

from datetime import timedelta

import pytest

from snapshot_protection.audit import baseline_entries
from snapshot_protection.audit_baseline import BaselineEntry, TrendPoint
from snapshot_protection.audit_duplicates import merge_duplicates
from snapshot_protection.audit_finding import FindingName, SnapshotFinding
from snapshot_protection.audit_pages import render_summary
from snapshot_protection.audit_report import format_message
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.project_audit import ProjectAudit
from tests.support.audit_reports import DEAD, EVIDENCE, NOW, REMOVED, YESTERDAY, finding, project, report

EARLIER = NOW - timedelta(seconds=2)
SHARED = finding(1)


def merge(*projects: ProjectAudit) -> list[ProjectAudit]:
    return merge_duplicates(projects, dict.fromkeys("abcd", "https://api.example.test/v1"))


def merged(first: SnapshotFinding | None, second: SnapshotFinding | None) -> SnapshotFinding:
    """Merge what the listing that began earlier and the later one have of one snapshot."""
    a = project(*filter(None, (SHARED, first)), name="a", listed=EARLIER)
    b = project(*filter(None, (SHARED, second)), name="b", listed=NOW)
    results = []
    for order in ((a, b), (b, a)):
        one, two = merge(*order)
        assert one.findings == two.findings
        assert (one.duplicate_of, two.duplicate_of) == ("", order[0].project)
        results.append([each for each in one.findings if each.image_id != SHARED.image_id])
    assert results[0] == results[1]
    [result] = results[0]
    return result


def test_two_tokens_of_one_project_are_noticed_by_a_shared_image() -> None:
    audits = [project(finding(1), finding(2), name="a"), project(finding(3), name="b"),
              project(finding(2), name="c"), DEAD]  # fmt: skip
    endpoints = dict.fromkeys("abc", "https://api.example.test/v1")
    assert [one.duplicate_of for one in merge_duplicates(audits, endpoints)] == ["", "", "a", ""]
    endpoints["c"] = "https://other.example.test/v1"
    assert [one.duplicate_of for one in merge_duplicates(audits, endpoints)] == ["", "", "", ""]


def test_what_is_missing_makes_no_two_projects_one() -> None:
    audits = merge(project(finding(1, "missing"), name="a"), project(finding(1), name="b"))
    assert [one.duplicate_of for one in audits] == ["", ""]


def test_a_third_listing_shows_that_two_without_a_shared_image_are_the_same_project() -> None:
    audits = merge(
        project(finding(1), name="a"),
        project(finding(2), name="b"),
        project(finding(1), finding(2), name="c"),
    )
    assert [one.duplicate_of for one in audits] == ["", "a", "a"]
    assert [[each.image_id for each in one.findings] for one in audits] == [[1, 2]] * 3


def test_a_project_that_one_of_two_tokens_cannot_read_is_an_error_and_no_duplicate() -> None:
    audits = merge(project(finding(1), name="a"), DEAD.model_copy(update={"project": "b"}))
    assert [(one.duplicate_of, one.error is None) for one in audits] == [("", True), ("", False)]


def test_what_only_the_second_token_s_history_knows_is_found() -> None:
    found = merged(finding(7, "unprotected"), REMOVED)
    assert (found.finding, found.evidence, found.is_new) == ("newly_unprotected", EVIDENCE, True)


def test_the_earliest_date_and_what_was_reported_before_win() -> None:
    since = REMOVED.model_copy(update={"since": YESTERDAY, "is_new": False, "evidence": ""})
    found = merged(REMOVED, since)
    assert (found.since, found.is_new, found.evidence) == (YESTERDAY, False, EVIDENCE)


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("protected", "newly_unprotected", "newly_unprotected"),
        ("newly_unprotected", "protected", "newly_unprotected"),
        ("protected", "unprotected", "newly_unprotected"),
        ("protected", "in_grace_period", "newly_unprotected"),
        ("unprotected", "newly_protected", "newly_protected"),
        ("in_grace_period", "protected", "protected"),
        ("protected", "missing", "missing_protected"),
        ("missing", "protected", "protected"),
        ("missing_protected", "protected", "missing_protected"),
        ("unprotected", "missing_protected", "missing_protected"),
        ("missing_protected", "unprotected", "newly_unprotected"),
        ("missing_protected", "in_grace_period", "newly_unprotected"),
        ("in_grace_period", "new_unprotected", "new_unprotected"),
        ("new", "protected", "new"),
        ("protected", None, "protected"),
        (None, "missing_protected", "missing_protected"),
    ],
)
def test_the_more_severe_finding_wins_and_what_was_seen_protected_counts_as_that(
    first: FindingName | None, second: FindingName | None, result: FindingName
) -> None:
    assert merged(first and finding(7, first), second and finding(7, second)).finding == result


RULE = {"by_rule": True, "reason": "rule 'scratch'"}
APPROVED = {"is_approved": True, "reason": "approved until 2026-11-26 03:00 UTC: to delete it"}


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        (finding(7, "exempt", **RULE), finding(7, "exempt", **RULE), "exempt"),
        (finding(7, by_rule=True), finding(7, "exempt", **RULE), "exempt"),
        (
            finding(7),
            finding(7, "exempt", **RULE),
            "newly_unprotected",
        ),  # it did not match when it was protected
        (
            finding(7, "exempt", **RULE),
            finding(7, "unprotected"),
            "unprotected",
        ),  # of a rule for one name only
        (finding(7, "exempt", since=YESTERDAY, **RULE), finding(7, "unprotected"), "newly_unprotected"),
        (finding(7, "missing_exempt", **RULE), finding(7, "missing"), "missing"),
        (finding(7, by_rule=True), finding(7, "missing_exempt", **RULE), "missing_exempt"),
        (finding(7, "exempt", **APPROVED), finding(7, "unprotected"), "exempt"),
        (finding(7, "exempt", **APPROVED), finding(7, "newly_unprotected", since=NOW), "exempt"),
        (finding(7, "new_unprotected"), finding(7, "exempt", since=NOW, **APPROVED), "exempt"),
        (finding(7), finding(7, "exempt", **APPROVED), "exempt"),
        (finding(7, "exempt", **APPROVED), finding(7, "exempt", **RULE), "exempt"),
        (finding(7, "exempt", **APPROVED), finding(7, "missing_protected"), "missing_exempt"),
        (finding(7, "missing_exempt", **APPROVED), finding(7, "missing_protected"), "missing_exempt"),
        (finding(7, "missing_exempt", **APPROVED), finding(7, "newly_unprotected", since=NOW), "exempt"),
        (finding(7, "exemption_expired", **APPROVED), finding(7, "unprotected"), "exemption_expired"),
        (
            finding(7, "exemption_expired", **APPROVED),
            finding(7, "newly_unprotected", since=NOW),
            "exemption_expired",
        ),
        (finding(7, "exemption_expired", **APPROVED), finding(7, "missing_protected"), "missing_protected"),
        (finding(7, "exempt", **APPROVED), finding(7, "exemption_expired", **APPROVED), "exemption_expired"),
        (finding(7, "exempt", **APPROVED), finding(7, "unreadable"), "unreadable"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.finding,
)
def test_an_exemption_of_either_name_counts_and_a_rule_only_if_both_names_have_one(
    first: SnapshotFinding, second: SnapshotFinding, result: FindingName
) -> None:
    found = merged(first, second)
    assert found.finding == result
    if found.is_exempt and (first.is_approved or second.is_approved):
        assert found.reason == APPROVED["reason"]


def test_what_was_protected_by_one_history_and_is_exempt_was_protected() -> None:
    found = merged(finding(7, by_rule=True), finding(7, "exempt", **RULE))
    assert (found.protected, found.since, found.was_protected) == (False, NOW, True)


def test_only_the_policies_that_exempt_it_by_both_names_are_stored() -> None:
    first = finding(7, exempt_by=frozenset({"default", "other"}))
    assert merged(first, finding(7, exempt_by=frozenset({"default"}))).exempt_by == {"default"}


PROTECTED = BaselineEntry("protected", "snapshot 7")


def unreadable(last_known: BaselineEntry | None = None) -> SnapshotFinding:
    return finding(7, "unreadable", reason="could not be read", last_known=last_known)


@pytest.mark.parametrize("last_known", [None, PROTECTED])
def test_what_the_later_listing_cannot_read_is_unknown_and_its_protection_is_not_forgotten(
    last_known: BaselineEntry | None,
) -> None:
    found = merged(finding(7), unreadable(last_known))
    assert (found.finding, found.is_violation) == ("unreadable", False)
    assert baseline_entries([found])[7].state == "protected"


def test_a_removal_is_stored_when_the_later_listing_cannot_read_the_snapshot() -> None:
    found = merged(REMOVED, unreadable(PROTECTED))
    assert found.finding == "unreadable"
    assert baseline_entries([found])[7] == BaselineEntry("removed", "snapshot 7", NOW, EVIDENCE)


@pytest.mark.parametrize(
    ("last_known", "later", "result"),
    [
        (PROTECTED, "unprotected", "newly_unprotected"),
        (PROTECTED, "missing", "missing_protected"),
        (PROTECTED, "protected", "protected"),
        (None, "unprotected", "unprotected"),
        (None, "newly_protected", "newly_protected"),
    ],
)
def test_what_the_later_listing_can_read_is_not_reported_as_unreadable(
    last_known: BaselineEntry | None, later: FindingName, result: FindingName
) -> None:
    found = merged(unreadable(last_known), finding(7, later))
    assert (found.finding, found.reason, found.last_known) == (result, "", None)


def test_coverage_and_trend_are_those_of_the_merged_findings() -> None:
    trend = (TrendPoint(9, 9), TrendPoint(2, 2))
    [one, _] = merge(
        project(finding(1), finding(2), name="a", trend=trend), project(finding(1), REMOVED, name="b")
    )
    assert one.trend == (TrendPoint(9, 9), TrendPoint(2, 3))
    assert one.coverage == TrendPoint(2, 3)


WITHOUT_ID = ErrorInfo(code="unreadable", message="could not be read: an entry without a valid id on page 1")


def test_two_tokens_of_one_project_are_in_the_message() -> None:
    message = format_message(report(*merge(project(SHARED, name="a"), project(SHARED, name="b"))))
    assert message == "1 of 1 snapshot protected in 1 project; 'b' is the same project as 'a'"


@pytest.mark.parametrize("broken", [("a",), ("b",), ("a", "b")])
def test_an_entry_without_an_id_counts_once_whichever_token_lists_it(broken: tuple[str, ...]) -> None:
    projects = [
        project(SHARED, name=name, without_id=(WITHOUT_ID,) if name in broken else ()) for name in "ab"
    ]
    found = report(*merge(*projects))
    assert (found.succeeded, len(found.unreadable)) == (False, 1)
    summary = render_summary(found)
    assert summary.startswith("## 🔴")
    assert summary.count("an entry without a valid id") == 1
