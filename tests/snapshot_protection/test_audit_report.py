"""The message of an audit's report."""

import pickle

import pytest

from snapshot_protection.audit_report import AuditFailedError, AuditReport, format_message, mark_duplicates
from tests.support.audit_reports import DEAD, EVIDENCE, REMOVED, finding, project, report


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (report(project()), "No snapshot found in 1 project"),
        (
            report(project(finding(1)), project(name="b")),
            "1 of 1 snapshot protected in 2 projects; no snapshot found in project 'b'",
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
            report(project(REMOVED, finding(1))),
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


def test_what_is_missing_makes_no_two_projects_one() -> None:
    audits = [project(finding(1, "missing"), name="a"), project(finding(1), name="b")]
    assert [one.duplicate_of for one in mark_duplicates(audits, {"a": "x", "b": "x"})] == ["", ""]


def test_the_error_keeps_the_report_when_pickled() -> None:
    error = AuditFailedError(report(project(REMOVED), DEAD))
    copy = pickle.loads(pickle.dumps(error))
    assert copy.report == error.report
    assert str(copy) == str(error) == format_message(error.report)
