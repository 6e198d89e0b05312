"""Two tokens of one project: each snapshot counts once, and what was seen last decides."""

from datetime import UTC, datetime, timedelta

import pytest

from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.outcomes import OutcomeName, SnapshotOutcome
from snapshot_protection.protection_report import ProjectReport, ProtectionReport, format_message
from snapshot_protection.protection_summary import render_summary
from tests.support.protection_reports import outcome

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
API = "https://api.hetzner.cloud/v1"
READ_ONLY = ErrorInfo(code="token_readonly", message="the token may only read", token_rejected=True)


def project(
    name: str,
    minute: int,
    *outcomes: SnapshotOutcome,
    error: ErrorInfo | None = None,
    endpoint: str = API,
    clock: int = 0,
) -> ProjectReport:
    own = tuple(each.model_copy(update={"project": name}) for each in outcomes)
    finished = NOW + timedelta(minutes=minute)
    return ProjectReport(
        project=name, snapshots=own, error=error, endpoint=endpoint, finished=finished, clock=clock
    )


def report(*projects: ProjectReport, dry_run: bool = False) -> ProtectionReport:
    return ProtectionReport(dry_run=dry_run, projects=projects)


def test_a_project_with_two_tokens_is_counted_once_and_named() -> None:
    told = report(
        project("a", 1, *(outcome(number) for number in range(4))),
        project("b", 2, *(outcome(number, "already_protected") for number in range(4))),
    )
    assert format_message(told) == (
        "4 of 4 snapshots protected in 1 project (4 newly protected, 0 already protected); "
        "'b' is the same project as 'a'"
    )
    assert told.succeeded
    summary = render_summary(told)
    assert "| a | 4 | 4 |" in summary
    assert "| b \\(the same project as a\\) | 0 | 0 |" in summary
    assert ProtectionReport.load(told.dump()) == told


def test_a_dry_run_counts_it_once_too() -> None:
    snapshots = [outcome(1, "would_protect"), outcome(2, "already_protected")]
    told = report(project("a", 1, *snapshots), project("b", 1, *snapshots), dry_run=True)
    assert format_message(told) == (
        "Dry run: would protect 1 of 2 snapshots in 1 project, 1 already protected; "
        "'b' is the same project as 'a'"
    )


def test_the_error_of_a_token_fails_the_run_also_when_the_other_token_protected_all() -> None:
    rejected = outcome(1, "failed", code=READ_ONLY.code, message="the project's token was rejected")
    told = report(project("a", 1, rejected, error=READ_ONLY), project("b", 2, outcome(1)))
    assert not told.succeeded
    assert format_message(told) == (
        "1 of 1 snapshot protected in 1 project (1 newly protected, 0 already protected); "
        "'b' is the same project as 'a'; "
        "project 'a' could not be changed: the token may only read (token_readonly). "
        "Fix the cause and run again; protected snapshots are skipped."
    )


@pytest.mark.parametrize(
    ("earlier", "later", "merged"),
    [
        ("failed", "protected", "protected"),
        ("failed", "already_protected", "already_protected"),
        ("protected", "already_protected", "protected"),
        ("protected", "failed", "failed"),
        ("protected", "deleted", "deleted"),
        ("unfinished", "protected", "protected"),
        ("would_protect", "already_protected", "already_protected"),
        ("exempt", "protected", "protected"),
        ("exempt", "would_protect", "would_protect"),
        ("would_protect", "exempt", "would_protect"),
        ("unfinished", "exempt", "unfinished"),
        ("exempt", "exempt", "exempt"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_was_seen_last_decides_wherever_it_stands(
    earlier: OutcomeName, later: OutcomeName, merged: OutcomeName, *, is_first: bool
) -> None:
    projects = [project("a", 1, outcome(1, earlier)), project("b", 2, outcome(1, later))]
    told = report(*(projects if is_first else projects[::-1]))
    assert [each.outcome for each in told.snapshots] == [merged]


@pytest.mark.parametrize("minutes", [(1, 2), (2, 1), (1, 1)])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("failed", "protected"),
        ("unfinished", "already_protected"),
        ("deleted", "protected"),
        ("exempt", "protected"),
        ("failed", "exempt"),
        ("would_protect", "exempt"),  # exempt by one name only: the other one requires its protection
    ],
)
def test_of_two_machines_whose_clocks_cannot_be_compared_the_more_severe_outcome_counts(
    one: OutcomeName, other: OutcomeName, minutes: tuple[int, int]
) -> None:
    severe = project("a", minutes[0], outcome(1, one), clock=1)
    mild = project("b", minutes[1], outcome(1, other), clock=2)
    for told in (report(severe, mild), report(mild, severe)):
        assert [each.outcome for each in told.snapshots] == [one]


@pytest.mark.parametrize("minutes", [(1, 2), (2, 1)])
def test_of_two_failures_on_two_machines_the_one_that_no_project_s_error_explains_counts(
    minutes: tuple[int, int],
) -> None:
    broken = outcome(1, "failed", code="action_failed", message="its action failed", action_id=42)
    rejected = outcome(1, "failed", code=READ_ONLY.code, message="the project's token was rejected")
    told = report(
        project("a", minutes[0], broken, clock=1),
        project("b", minutes[1], rejected, error=READ_ONLY, clock=2),
    )
    assert [each.action_id for each in told.snapshots] == [42]


def test_the_reason_of_a_failure_is_kept_where_the_other_token_could_only_read() -> None:
    broken = outcome(1, "failed", code="action_failed", message="its action failed", action_id=42)
    rejected = outcome(1, "failed", code=READ_ONLY.code, message="the project's token was rejected")
    told = report(project("a", 1, broken), project("b", 2, rejected, error=READ_ONLY))
    assert [each.action_id for each in told.snapshots] == [42]
    assert "a/1 failed, action 42: its action failed" in format_message(told)


def test_what_only_one_token_saw_counts_too() -> None:
    told = report(project("a", 1, outcome(1), outcome(2)), project("b", 2, outcome(2, "already_protected")))
    assert told.counts == {"protected": 2}


def test_an_id_at_another_endpoint_or_at_an_unknown_one_is_another_snapshot() -> None:
    apart = report(project("a", 1, outcome(1)), project("b", 1, outcome(1), endpoint="https://b.test/v1"))
    unknown = report(*(ProjectReport(project=name, snapshots=(outcome(1),)) for name in "ab"))
    for told in (apart, unknown):
        assert told.duplicates == {}
        assert len(told.snapshots) == 2


def test_three_tokens_of_one_project_are_one_project() -> None:
    told = report(
        project("a", 1, outcome(1)), project("b", 2, outcome(1), outcome(2)), project("c", 3, outcome(2))
    )
    assert told.duplicates == {"b": "a", "c": "a"}
    assert "in 1 project " in format_message(told)


def test_the_message_names_five_duplicates_when_there_are_more() -> None:
    told = report(*(project(f"p{number}", 1, outcome(1)) for number in range(9)))
    assert "'p5' is the same project as 'p0'; and 3 more" in format_message(told)
    assert "'p6'" not in format_message(told)
