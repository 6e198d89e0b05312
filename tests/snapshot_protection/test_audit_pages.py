"""The tables of an audit and its summary."""

import re
from datetime import timedelta

import pytest

from snapshot_protection.audit_baseline import TrendPoint
from snapshot_protection.audit_pages import (
    COLUMNS,
    MAX_TABLE_ROWS,
    build_table,
    format_age,
    render_summary,
    sparkline,
)
from snapshot_protection.error_info import ErrorInfo
from tests.support.audit_reports import DEAD, EVIDENCE, NOW, REMOVED, finding, project, report


def test_a_row_tells_all_that_is_known() -> None:
    [row] = build_table(project(REMOVED.model_copy(update={"server": "db-1"})), now=NOW)
    assert list(row) == [*COLUMNS[:3], "removed by", *COLUMNS[3:]]
    assert row == {
        "finding": "🔴 newly unprotected",
        "snapshot": 7,
        "description": "snapshot 7",
        "server": "db-1",
        "created": "2026-11-22 03:00",
        "age": "3 days",
        "size in GB": "2.5",
        "protected": "no",
        "removed by": EVIDENCE,
    }


def test_the_table_is_bounded_and_counts_what_it_does_not_show() -> None:
    findings = [REMOVED, *(finding(number) for number in range(100, 100 + MAX_TABLE_ROWS + 10))]
    rows = build_table(project(*findings), now=NOW)
    assert len(rows) == MAX_TABLE_ROWS + 1
    assert rows[0]["snapshot"] == 7
    assert (rows[-1]["snapshot"], rows[-1]["finding"]) == ("… 11 more", "11 🟢 protected")


def test_a_project_that_could_not_be_read_is_one_red_row() -> None:
    [row] = build_table(DEAD, now=NOW)
    assert row["finding"] == "🔴 could not be read: it cannot be reached (unreachable)"


def test_the_summary_has_coverage_findings_and_trend() -> None:
    trend = tuple(TrendPoint(*point) for point in ((4, 4), (3, 4), (2, 4)))
    text = render_summary(
        report(
            project(REMOVED, finding(1), finding(2, size=7.5), trend=trend, previous=NOW - timedelta(days=1)),
            DEAD,
            label_selector="protect!=no",
            grace_hours=24,
        ),
        links={"prod": "http://127.0.0.1:4200/artifacts/artifact/1"},
    )
    assert text.startswith("## 🔴 2 of 3 snapshots protected in 2 projects, 1 unprotected (1 new)")
    assert (
        "| 🔴 | [prod](http://127.0.0.1:4200/artifacts/artifact/1) | 3 | 2 | 66.6 % | 10 of 12 | █▆▄ | "
        "2026-11-24 03:00 |"
    ) in text
    assert "| 🔴 | dead | ? | ? | could not be read |" in text
    assert "**newly unprotected**: 7, snapshot 7, action 8" in text
    assert "protect\\!=no, younger than 24 hours not counted." in text
    assert "project 'dead' could not be read\\: it cannot be reached" in text


def test_a_link_has_the_name_without_escapes() -> None:
    audit = report(project(finding(1), name="shop-prod"), project(finding(2), name="Not saved-yet"))
    text = render_summary(audit, links={"shop-prod": "http://127.0.0.1/1"})
    assert "| [shop-prod](http://127.0.0.1/1) |" in text
    assert "| Not saved\\-yet |" in text


def test_the_projects_are_listed_the_most_severe_first() -> None:
    names = {"fine": finding(1), "unprotected": finding(2, "unprotected"), "also fine": finding(3)}
    projects = [project(found, name=name) for name, found in names.items()]
    text = render_summary(report(*projects, DEAD))
    assert [line.split(" | ")[1] for line in text.splitlines() if re.match("[|] [🔴🟡🟢]", line)] == [
        "dead",
        "unprotected",
        "fine",
        "also fine",
    ]


def test_what_is_missing_was_protected_or_was_not() -> None:
    rows = build_table(project(finding(1, "missing_protected"), finding(2, "missing"), finding(3)), now=NOW)
    assert {row["snapshot"]: row["protected"] for row in rows} == {1: "was", 2: "was not", 3: "yes"}


RULE = {"by_rule": True, "reason": "rule 'scratch'"}
APPROVED = {"is_approved": True, "reason": "approved until 2026-11-26 03:00 UTC: to delete it"}


def test_exempt_snapshots_have_a_column_with_the_reason_and_grey_marks() -> None:
    expired = finding(10, "exemption_expired", reason="expired 2026-11-25 02:00 UTC", evidence=EVIDENCE)
    exempt = finding(9, "exempt", **RULE)
    rows = build_table(project(expired, exempt, finding(1)), now=NOW)
    assert list(rows[0]) == [*COLUMNS[:3], "removed by", "reason", *COLUMNS[3:]]
    assert [(row["finding"], row["reason"], row["removed by"]) for row in rows] == [
        ("🔴 exemption expired", "expired 2026-11-25 02:00 UTC", EVIDENCE),
        ("⚪ exempt", "rule 'scratch'", ""),
        ("🟢 protected", "", ""),
    ]


def test_exempt_snapshots_are_apart_in_the_summary_by_rule_and_each_approved_one_and_it_is_green() -> None:
    by_rule = (finding(number, "exempt", **RULE) for number in range(100, 140))
    approved = finding(9, "exempt", evidence=EVIDENCE, **APPROVED)
    text = render_summary(report(project(finding(1), approved, *by_rule)))
    assert text.startswith("## 🟢 1 of 1 snapshot protected in 1 project, 41 exempt\n")
    assert "| 🟢 | prod | 1 | 1 | 100 % |" in text
    assert text.partition("### Exempt\n\n")[2] == (
        "- ⚪ **prod**: 41 snapshots\n"
        "    - rule 'scratch': 40\n"
        "    - 9, snapshot 9, approved until 2026\\-11\\-26 03\\:00 UTC\\: to delete it, removed by action 8 "
        "of 2026\\-11\\-24 22\\:15\\:00 UTC\n"
    )
    assert "### prod" not in text
    assert "Next steps" not in text


def test_the_summary_names_twenty_approved_exemptions_of_a_project_at_most() -> None:
    approved = (finding(number, "exempt", **APPROVED) for number in range(100, 140))
    text = render_summary(report(project(*approved)))
    assert text.count("approved until") == 20
    assert "and 20 more with approval, see the project's table" in text


def test_an_expired_exemption_makes_the_summary_red() -> None:
    text = render_summary(report(project(finding(10, "exemption_expired", reason="expired yesterday"))))
    assert text.startswith("## 🔴 0 of 1 snapshot protected")
    assert "| 🔴 | prod |" in text
    assert "- 🔴 **exemption expired**: 10, snapshot 10, expired yesterday" in text


def test_a_reason_means_nothing_to_markdown() -> None:
    hostile = {"is_approved": True, "reason": "](https://evil.test) <script> | `x`"}
    text = render_summary(
        report(project(finding(9, "exempt", **hostile), finding(8, "missing_exempt", **hostile)))
    )
    for harm in ("<script>", "](https://evil", " | `"):
        assert harm not in text


def test_the_summary_is_green_and_asks_for_nothing_when_all_is_protected() -> None:
    text = render_summary(report(project(finding(1))))
    assert text.startswith("## 🟢 1 of 1 snapshot protected in 1 project\n")
    assert "| 🟢 | prod | 1 | 1 | 100 % | 2 of 2 |  | first audit |" in text
    assert "###" not in text


def test_coverage_that_is_not_complete_never_reads_as_100_percent() -> None:
    findings = [finding(1, "unprotected"), *(finding(number) for number in range(2, 3_000))]
    assert "| 99.9 % |" in render_summary(report(project(*findings)))


def test_the_summary_names_twenty_snapshots_of_a_project_at_most() -> None:
    text = render_summary(report(project(*(finding(number, "unprotected") for number in range(1, 31)))))
    assert text.count("**unprotected**") == 20
    assert "and 10 more, see the project's table" in text


def test_the_summary_says_what_else_a_person_should_know() -> None:
    text = render_summary(
        report(
            project(finding(1), finding(2, "missing"), note="the actions could not be read"),
            project(finding(1), name="twin", duplicate_of="prod"),
            label_selector="env=prod",
        )
    )
    assert "twin and prod are the same project, by two tokens: counted once" in text
    assert "prod\\: the actions could not be read" in text
    assert "may have been relabelled" in text


def test_the_summary_takes_all_meaning_from_what_others_wrote() -> None:
    hostile = finding(1, "unprotected", description="](https://evil.test) <script> | `x`", server="<b>")
    text = render_summary(report(project(hostile)))
    for harm in ("<script>", "](https://evil", " | `", "<b>"):
        assert harm not in text


@pytest.mark.parametrize(
    ("points", "drawn"),
    [
        ([], ""),
        ([(1, 2)], ""),
        ([(2, 2), (3, 3)], "██"),
        ([(1, 2), (2, 4)], "▄▄"),
        ([(0, 2), (1, 2), (2, 2)], "▁▄█"),
        ([(0, 0), (1, 2), (2, 2)], "▄█"),
        ([(999, 1_000), (1_000, 1_000)], "▇█"),
    ],
)
def test_the_sparkline_shows_coverage_on_one_scale_and_only_all_as_a_full_bar(
    points: list[tuple[int, int]], drawn: str
) -> None:
    assert sparkline([TrendPoint(*point) for point in points]) == drawn


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(minutes=-5), "0 minutes"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=400), "400 days"),
    ],
)
def test_an_age_is_told_in_words(age: timedelta, words: str) -> None:
    assert format_age(NOW - age, NOW) == words


def test_an_age_that_is_not_known_is_not_told() -> None:
    assert format_age(None, NOW) == ""


def test_the_summary_names_the_first_of_thousands_of_entries_without_an_id() -> None:
    errors = tuple(ErrorInfo(code="unreadable", message=f"entry {number}") for number in range(5_000))
    text = render_summary(report(project(without_id=errors), project(without_id=errors[:3], name="b")))
    assert "prod: entry 19" in text.replace("\\", "")
    assert "entry 20" not in text
    assert "and 4,983 more" in text
    assert len(text) < 5_000
