"""What a run tells people."""

import pickle

import pytest

from snapshot_protection.embedding import embed
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.protection_report import (
    ProjectReport,
    ProtectionReport,
    SnapshotsNotProtectedError,
    describe,
    format_headline,
    format_message,
)
from snapshot_protection.protection_summary import render_summary
from snapshot_protection.protection_table import COLUMNS, MAX_TABLE_ROWS, build_table
from snapshot_protection.reported_policy import ReportedPolicy
from tests.support.protection_reports import FAILED, outcome, report

UNFINISHED = outcome(8, "unfinished", code="locked", message="another action runs")
GONE = outcome(9, "deleted")
SAVED = ReportedPolicy(name="default", digest="0123456789ab", has_rules=True)
BUILT_IN = ReportedPolicy.of(NamedPolicy())
UNREAD = ErrorInfo(code="unreachable", message="example.test cannot be reached")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (report(), "No snapshot found in 1 project"),
        (
            report(outcome(1), outcome(2, "already_protected")),
            "2 of 2 snapshots protected in 1 project (1 newly protected, 1 already protected)",
        ),
        (
            report(outcome(1), GONE),
            (
                "1 of 1 snapshot protected in 1 project (1 newly protected, 0 already protected), "
                "1 deleted; prod/9 deleted"
            ),
        ),
        (
            report(outcome(1, "would_protect"), outcome(2, "already_protected"), dry_run=True),
            "Dry run: would protect 1 of 2 snapshots in 1 project, 1 already protected",
        ),
        (
            report(outcome(1), outcome(2, "exempt"), outcome(3, "exempt"), policy=SAVED),
            (
                "1 of 1 snapshot protected in 1 project (1 newly protected, 0 already protected), 2 exempt; "
                "policy 'default' (0123456789ab)"
            ),
        ),
        (
            report(outcome(1, "would_protect"), outcome(2, "exempt"), dry_run=True, policy=BUILT_IN),
            "Dry run: would protect 1 of 1 snapshot in 1 project, 0 already protected, 1 exempt",
        ),
        (
            report(outcome(1), FAILED),
            (
                "1 of 2 snapshots protected in 1 project (1 newly protected, 0 already protected), 1 failed; "
                "prod/7 failed, action 42: its action failed (action_failed, c0ffee). "
                "Fix the cause and run again; protected snapshots are skipped."
            ),
        ),
        (
            report(UNFINISHED),
            (
                "0 of 1 snapshot protected in 1 project (0 newly protected, 0 already protected), "
                "1 unfinished; "
                "prod/8 unfinished: another action runs (locked). "
                "Run it again in a few minutes; protected snapshots are skipped."
            ),
        ),
        (
            report(outcome(1), inaccessible=UNREAD),
            (
                "1 of 1 snapshot protected in 2 projects (1 newly protected, 0 already protected), "
                "1 project could not be read; "
                "project 'dead' could not be read: example.test cannot be reached (unreachable). "
                "Fix the cause and run again; protected snapshots are skipped."
            ),
        ),
    ],
)
def test_the_message_counts_names_and_advises(told: ProtectionReport, message: str) -> None:
    assert format_message(told) == message


def test_the_message_counts_no_snapshots_when_no_project_could_be_read() -> None:
    told = ProtectionReport(dry_run=False, projects=(ProjectReport(project="dead", error=UNREAD),))
    assert format_message(told).startswith("1 project could not be read; project 'dead' could not be read: ")


def test_the_message_names_five_when_there_are_more() -> None:
    failed = [outcome(number, "failed", message="no") for number in range(1, 8)]
    text = format_message(report(*failed))
    assert "; 7 failed: no: prod/1, prod/2, prod/3, prod/4, prod/5 and 2 more. " in text
    different = [outcome(number, "failed", message="no" * number) for number in range(1, 8)]
    assert f"prod/5 failed: {'no' * 5}; and 2 more." in format_message(report(*different))
    assert "prod/6" not in text


@pytest.mark.parametrize(
    ("told", "succeeded"),
    [
        (report(outcome(1), outcome(2, "already_protected"), GONE), True),
        (report(outcome(1, "would_protect"), dry_run=True), True),
        (report(outcome(1, "exempt"), policy=SAVED), True),
        (report(outcome(1), FAILED), False),
        (report(outcome(1), UNFINISHED), False),
        (report(inaccessible=UNREAD), False),
    ],
)
def test_a_run_succeeded_only_if_nothing_failed_and_nothing_is_unfinished(
    told: ProtectionReport, *, succeeded: bool
) -> None:
    assert told.succeeded is succeeded


def test_the_table_shows_those_first_that_need_a_person() -> None:
    rows = build_table(report(outcome(1), GONE, UNFINISHED, FAILED, inaccessible=UNREAD))
    assert [(row["snapshot"], row["outcome"]) for row in rows] == [
        ("", "failed"),
        (7, "failed"),
        (8, "unfinished"),
        (9, "deleted"),
        (1, "protected"),
    ]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert rows[1]["action"] == 42
    assert rows[1]["code"] == "action_failed"


def test_the_table_is_bounded_and_says_so_when_there_are_too_many() -> None:
    told = report(FAILED, *(outcome(number, "already_protected") for number in range(100, 2_200)))
    assert len(build_table(told)) == MAX_TABLE_ROWS
    assert build_table(told)[0]["snapshot"] == 7
    assert "first 2000 of 2101 snapshots" in render_summary(told)


def test_the_summary_counts_each_project_and_names_what_to_look_at() -> None:
    text = render_summary(report(outcome(1), FAILED, inaccessible=UNREAD))
    assert "| project | snapshots | failed | protected |" in text
    assert "| prod | 2 | 1 | 1 |" in text
    assert "| dead | 0 | 0 | 0 |" in text
    assert "its action failed" in text
    assert "cannot be reached" in text


def test_the_summary_names_the_policy_what_it_exempts_and_how_many_match_no_rule() -> None:
    outcomes = [outcome(1, "exempt", message="rule '*lab*'", rule="*lab*"), outcome(2, rule=""), FAILED]
    text = render_summary(report(*outcomes, policy=SAVED))
    assert "\nPolicy 'default' \\(0123456789ab\\)\\: 1 matched no rule.\n" in text
    assert "### Exempt\n\n- prod\\: 1 snapshot exempt, rule '\\*lab\\*'\\: 1\n" in text


def test_the_summary_names_the_built_in_policy() -> None:
    text = render_summary(report(outcome(1), policy=BUILT_IN))
    assert f"\nPolicy 'built\\-in' \\({BUILT_IN.digest}\\), without rules.\n" in text
    assert "Exempt" not in text


def test_the_summary_names_each_policy_when_it_was_changed_between_batches() -> None:
    other = SAVED.model_copy(update={"digest": "ba9876543210"})
    projects = [ProjectReport(project=str(number), policy=SAVED) for number in range(2)]
    told = ProtectionReport(dry_run=False, projects=(*projects, ProjectReport(project="c", policy=other)))
    text = render_summary(told)
    assert "(0123456789ab\\) in 2 projects; policy 'default' \\(ba9876543210\\) in 1 project" in text
    assert "policy 'default' (0123456789ab); policy 'default' (ba9876543210)" in format_message(told)


def test_a_report_without_the_fields_of_policies_is_loaded() -> None:
    told = report(outcome(1, "already_protected"))
    data = told.model_dump_json(exclude={"projects": {0: {"policy": True, "snapshots": {0: {"rule"}}}}})
    assert "policy" not in data
    assert "rule" not in data
    assert ProtectionReport.load(embed("protection-report", data)) == told
    whole = report(outcome(1, "exempt", message="rule 'lab'", rule="lab"), policy=SAVED)
    assert ProtectionReport.load(whole.dump()) == whole


def test_the_summary_takes_all_meaning_from_what_others_wrote() -> None:
    hostile = outcome(1, "failed", message="](https://evil.test) <script> | `x`")
    text = render_summary(report(hostile))
    assert "<script>" not in text
    assert "](" not in text
    assert " | `" not in text


def test_an_outcome_is_described_in_one_line() -> None:
    assert describe(outcome(1, action_id=5)) == "prod/1 protected, action 5"
    assert describe(GONE) == "prod/9 deleted"


def test_the_error_keeps_the_report_when_pickled() -> None:
    error = SnapshotsNotProtectedError(report(FAILED))
    copy = pickle.loads(pickle.dumps(error))
    assert copy.report == error.report
    assert str(copy) == str(error) == format_message(error.report)


WITHOUT_ID = ErrorInfo(
    code="unreadable", message="could not be read: an entry without a valid id on page 2: id: no"
)


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_entry_without_an_id_is_named_and_the_run_has_not_succeeded(*, dry_run: bool) -> None:
    project = ProjectReport(
        project="prod", snapshots=(outcome(1, "already_protected"),), without_id=(WITHOUT_ID,)
    )
    told = ProtectionReport(dry_run=dry_run, projects=(project,))
    assert not told.succeeded
    message = format_message(told)
    assert ", 1 without a valid id could not be read; project 'prod': could not be read: an entry" in message
    assert message.endswith("Fix the cause and run again; protected snapshots are skipped.")
    first, second = build_table(told)
    assert (first["project"], first["snapshot"], first["outcome"], first["code"]) == (
        "prod", "", "failed", "unreadable"
    )  # fmt: skip
    assert second["snapshot"] == 1
    assert "page 2" in render_summary(told)
    assert ProtectionReport.load(told.dump()) == told


def test_the_entries_without_an_id_are_bounded_in_the_message() -> None:
    project = ProjectReport(project="prod", without_id=(WITHOUT_ID,) * 1_000)
    assert len(format_message(ProtectionReport(dry_run=False, projects=(project,)))) < 1_000


def test_the_numbers_of_a_dry_run_add_up_when_a_snapshot_cannot_be_read() -> None:
    outcomes = [outcome(1, "would_protect"), outcome(2, "already_protected"), FAILED, outcome(4, "deleted")]
    assert format_headline(report(*outcomes, dry_run=True)) == (
        "Dry run: would protect 1 of 3 snapshots in 1 project, 1 already protected, 1 failed, 1 deleted"
    )


@pytest.mark.parametrize("broken", [("a",), ("b",), ("a", "b")])
def test_an_entry_without_an_id_counts_once_whichever_of_two_tokens_lists_it(broken: tuple[str, ...]) -> None:
    error = ErrorInfo(code="unreadable", message="could not be read: an entry without a valid id on page 1")
    projects = tuple(
        ProjectReport(
            project=name,
            snapshots=(outcome(1, project=name),),
            without_id=(error,) if name in broken else (),
            endpoint="https://api.example.test/v1",
        )
        for name in "ab"
    )
    found = ProtectionReport(dry_run=False, projects=projects)
    assert not found.succeeded
    assert "1 without a valid id could not be read" in format_headline(found)
