"""What an audit tells people."""

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapshot_protection.audit import FindingName, SnapshotFinding
from snapshot_protection.audit_baseline import TrendPoint
from snapshot_protection.audit_pages import (
    COLUMNS,
    MAX_TABLE_ROWS,
    build_table,
    format_age,
    render_summary,
    rows_to_look_at,
    sparkline,
)
from snapshot_protection.audit_report import (
    AuditFailedError,
    AuditReport,
    ProjectAudit,
    format_message,
    mark_duplicates,
)
from snapshot_protection.outcomes import ErrorInfo

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
EVIDENCE = "action 8 of 2026-11-24 22:15:00 UTC"
DEAD = ProjectAudit(project="dead", error=ErrorInfo(code="unreachable", message="it cannot be reached"))
_PROTECTED = {"protected", "new", "newly_protected", "missing_protected"}


def finding(image_id: int, name: FindingName = "protected", **fields: Any) -> SnapshotFinding:
    known = {"description": f"snapshot {image_id}", "size": 2.5, "created": NOW - timedelta(days=3)}
    return SnapshotFinding.model_validate(
        known | fields | {"image_id": image_id, "finding": name, "protected": name in _PROTECTED}
    )


def project(*findings: SnapshotFinding, name: str = "prod", **fields: Any) -> ProjectAudit:
    return ProjectAudit(project=name, findings=findings, **fields)


def report(*projects: ProjectAudit, **fields: Any) -> AuditReport:
    return AuditReport(audited=NOW, projects=projects, **fields)


LIFTED = finding(7, "newly_unprotected", evidence=EVIDENCE)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (report(project()), "No snapshot found in 1 project"),
        (
            report(project(finding(1)), project(name="b")),
            "1 of 1 snapshot protected in 2 projects",
        ),
        (
            report(
                project(
                    finding(1),
                    finding(2, "unprotected"),
                    finding(3, "in_grace_period"),
                    finding(4, "missing"),
                )
            ),
            (
                "1 of 2 snapshots protected in 1 project, 1 unprotected, 1 in their time of grace, 1 gone. "
                "Run protect-snapshots to protect what is not."
            ),
        ),
        (
            report(project(LIFTED, finding(1))),
            (
                "1 of 2 snapshots protected in 1 project, 1 unprotected (1 newly); prod/7 newly "
                f"unprotected: {EVIDENCE}. Find out who lifted the protection or deleted the snapshots. "
                "Run protect-snapshots to protect what is not."
            ),
        ),
        (
            report(project(finding(4, "missing_protected"), finding(1))),
            (
                "1 of 1 snapshot protected in 1 project, 1 gone; prod/4 gone, was protected. "
                "Find out who lifted the protection or deleted the snapshots."
            ),
        ),
        (
            report(project(finding(1)), DEAD),
            (
                "1 of 1 snapshot protected in 2 projects, 1 project could not be read; project 'dead' could "
                "not be read: it cannot be reached (unreachable). Mend what keeps the projects from being "
                "read, then run the audit again."
            ),
        ),
        (
            report(DEAD),
            (
                "1 project could not be read; project 'dead' could not be read: it cannot be reached "
                "(unreachable). Mend what keeps the projects from being read, then run the audit again."
            ),
        ),
        (
            report(project(finding(1)), project(finding(1), name="twin", duplicate_of="prod")),
            "1 of 1 snapshot protected in 1 project",
        ),
    ],
)
def test_the_message_counts_names_and_advises(told: AuditReport, message: str) -> None:
    assert format_message(told) == message


def test_the_message_names_five_when_there_are_more() -> None:
    text = format_message(report(project(*(finding(number, "newly_unprotected") for number in range(1, 9)))))
    assert "prod/5 newly unprotected; and 3 more. " in text
    assert "prod/6" not in text


def test_two_tokens_of_one_project_are_noticed_by_a_shared_image() -> None:
    audits = [project(finding(1), finding(2), name="a"), project(finding(3), name="b"),
              project(finding(2), name="c"), DEAD]  # fmt: skip
    endpoints = dict.fromkeys("abc", "https://api.example.test/v1")
    assert [one.duplicate_of for one in mark_duplicates(audits, endpoints)] == ["", "", "a", ""]
    endpoints["c"] = "https://other.example.test/v1"
    assert [one.duplicate_of for one in mark_duplicates(audits, endpoints)] == ["", "", "", ""]


def test_what_is_gone_makes_no_two_projects_one() -> None:
    audits = [project(finding(1, "missing"), name="a"), project(finding(1), name="b")]
    assert [one.duplicate_of for one in mark_duplicates(audits, {"a": "x", "b": "x"})] == ["", ""]


def test_a_row_tells_all_that_is_known() -> None:
    [row] = build_table(project(LIFTED.model_copy(update={"server": "db-1"})), now=NOW)
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
    findings = [LIFTED, *(finding(number) for number in range(100, 100 + MAX_TABLE_ROWS + 10))]
    rows = build_table(project(*findings), now=NOW)
    assert len(rows) == MAX_TABLE_ROWS + 1
    assert rows[0]["snapshot"] == 7
    assert (rows[-1]["snapshot"], rows[-1]["finding"]) == ("… 11 more", "11 🟢 protected")


def test_a_project_that_could_not_be_read_is_one_red_row() -> None:
    [row] = build_table(DEAD, now=NOW)
    assert row["finding"] == "🔴 could not be read: it cannot be reached (unreachable)"


def test_what_is_well_is_nothing_to_look_at() -> None:
    shown = rows_to_look_at(project(LIFTED, finding(2, "missing_protected"), finding(3)), now=NOW)
    assert [row["snapshot"] for row in shown] == [7, 2]


def test_the_summary_has_coverage_findings_and_trend() -> None:
    trend = tuple(TrendPoint(*point) for point in ((4, 4), (3, 4), (2, 4)))
    text = render_summary(
        report(
            project(LIFTED, finding(1), finding(2, size=7.5), trend=trend, previous=NOW - timedelta(days=1)),
            DEAD,
            label_selector="protect!=no",
            grace_hours=24,
        ),
        links={"prod": "http://127.0.0.1:4200/artifacts/artifact/1"},
    )
    assert text.startswith("## 🔴 2 of 3 snapshots protected in 2 projects, 1 unprotected (1 newly)")
    assert (
        "| 🔴 | [prod](http://127.0.0.1:4200/artifacts/artifact/1) | 3 | 2 | 66.6 % | 10 of 12 | █▅▁ | "
        "2026-11-24 03:00 |"
    ) in text
    assert "| 🔴 | dead | ? | ? | could not be read |" in text
    assert "**newly unprotected**: 7, snapshot 7, action 8" in text
    assert "protect\\!=no, younger than 24 hours not pluralize." in text
    assert "project 'dead' could not be read\\: it cannot be reached" in text


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
    assert "twin and prod are the same project, by two tokens: pluralize once" in text
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
        ([(0, 2), (1, 2), (2, 2)], "▁▅█"),
        ([(0, 0), (1, 2), (2, 2)], "▁█"),
    ],
)
def test_the_sparkline_shows_how_coverage_went(points: list[tuple[int, int]], drawn: str) -> None:
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


def test_the_error_keeps_the_report_when_pickled() -> None:
    error = AuditFailedError(report(project(LIFTED), DEAD))
    copy = pickle.loads(pickle.dumps(error))
    assert copy.report == error.report
    assert str(copy) == str(error) == format_message(error.report)
