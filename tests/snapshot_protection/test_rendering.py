"""What is rendered of a report: log lines with their level, and the keys it is published under."""

import logging

import pytest

from snapshot_protection import embedding
from snapshot_protection.audit_report import AuditFailedError
from snapshot_protection.interrupted_runs import InterruptedRuns
from snapshot_protection.protection_report import (
    ProtectionReport,
    SnapshotsNotProtectedError,
    format_message,
)
from snapshot_protection.rendered_report import LogLine
from snapshot_protection.rendering import render_audit_report, render_protection_report
from tests.support import audit_reports as audits
from tests.support import protection_reports as protection


def test_what_needs_attention_is_logged_as_an_error_and_the_rest_is_joined() -> None:
    report = protection.report(
        protection.outcome(1),
        protection.outcome(2),
        protection.FAILED,
        protection.outcome(3, "deleted", message="no such image"),
        protection.outcome(4, "already_protected"),
    )
    assert render_protection_report(report, is_whole=True).log_lines == (
        LogLine("prod/7 failed, action 42: its action failed (action_failed, c0ffee)", logging.ERROR),
        LogLine("prod/3 deleted: no such image", logging.INFO),
        LogLine("prod/1 protected; prod/2 protected", logging.INFO),
    )


def test_exempt_snapshots_are_logged_by_reason_in_a_bounded_number_of_lines_and_never_as_errors() -> None:
    many = [protection.outcome(number, "exempt", message="rule 'lab'") for number in range(1, 2_001)]
    lines = render_protection_report(protection.report(*many), is_whole=True).log_lines
    named = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 1990 more"
    assert lines == (LogLine(f"prod: 2000 snapshots exempt, rule 'lab': {named}", logging.INFO),)
    approved = [protection.outcome(number, "exempt", message=f"until {number}") for number in range(1, 31)]
    lines = render_protection_report(protection.report(*approved), is_whole=True).log_lines
    assert [str(line.text) for line in lines][-1] == "and 10 more exempt snapshots"
    assert (len(lines), {line.level for line in lines}) == (21, {logging.INFO})


@pytest.mark.parametrize(
    ("is_whole", "dry_run", "keys"),
    [
        (True, False, ("snapshot-protection-outcomes", "snapshot-protection-summary")),
        (True, True, ("snapshot-protection-outcomes-dry-run", "snapshot-protection-summary-dry-run")),
        (False, False, (None, None)),
    ],
)
def test_only_a_whole_run_has_keys_and_only_a_part_embeds_its_report(
    *, is_whole: bool, dry_run: bool, keys: tuple[str | None, ...]
) -> None:
    report = protection.report(protection.outcome(1), dry_run=dry_run)
    rendered = render_protection_report(report, is_whole=is_whole)
    assert (*(table.key for table in rendered.tables), rendered.summary.key) == keys
    assert rendered.message == format_message(report)
    embedded = ProtectionReport.load(str(rendered.summary.markdown))
    assert embedded == (None if is_whole else report)


def test_an_audit_logs_the_check_for_interrupted_runs_then_each_removed_protection() -> None:
    interrupted = InterruptedRuns(error="the Prefect API returned 503")
    report = audits.report(audits.project(audits.REMOVED, audits.finding(1)), interrupted=interrupted)
    check = "The check for interrupted flow runs failed: the Prefect API returned 503"
    assert render_audit_report(report).log_lines == (
        LogLine(check, logging.WARNING),
        LogLine(f"prod/7 newly unprotected: {audits.EVIDENCE}", logging.ERROR),
    )


def test_each_project_of_an_audit_has_a_table_that_its_summary_links_to() -> None:
    report = audits.report(audits.project(audits.finding(1)), audits.DEAD, label_selector="env=prod")
    rendered = render_audit_report(report)
    keys = [table.key for table in rendered.tables]
    hashed = "audited-selected-snapshots-7c650aff"
    assert [key and key.startswith(hashed) and key[len(hashed) + 8 :] for key in keys] == ["-prod", "-dead"]
    assert not isinstance(rendered.summary.markdown, str)
    assert "| [dead](http://ui/1) |" in rendered.summary.markdown({"dead": "http://ui/1"})


def test_a_report_that_is_too_large_to_be_embedded_is_published_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "_MAX_BYTES", 100)
    rendered = render_protection_report(protection.report(protection.FAILED), is_whole=False)
    assert len(rendered.tables[0].rows) == 1
    assert len(rendered.log_lines) == 1
    assert isinstance(rendered.summary.markdown, str)
    assert "<!--" not in rendered.summary.markdown
    assert "could not be stored for the run that started this one" in rendered.summary.markdown


def test_one_error_of_thousands_of_snapshots_is_one_line_with_the_count_and_the_first_ids() -> None:
    failed = [protection.outcome(number, "failed", code="locked", message="no") for number in range(1, 2_001)]
    deleted = [protection.outcome(5_000 + number, "deleted", message="gone") for number in range(10)]
    rendered = render_protection_report(protection.report(*failed, *deleted), is_whole=True)
    error = "2,000 failed: no (locked): prod/1, prod/2, prod/3, prod/4, prod/5 and 1,995 more"
    assert rendered.log_lines == (
        LogLine(error, logging.ERROR),
        LogLine("10 deleted: gone: prod/5000, prod/5001, prod/5002, prod/5003, prod/5004 and 5 more"),
    )
    assert rendered.message.count("no (locked)") == 1
    assert error in rendered.message

    unreadable = [audits.finding(number, "unreadable", reason="no") for number in range(1, 2_001)]
    removed = [audits.finding(number, "newly_unprotected", is_new=True) for number in range(2_001, 4_001)]
    audited = render_audit_report(audits.report(audits.project(*unreadable, *removed)))
    assert [(line.level, line.text.partition(": prod/")[0]) for line in audited.log_lines] == [
        (logging.ERROR, "2,000 could not be read: no"),
        (logging.ERROR, "2,000 newly unprotected"),
    ]


def test_thousands_of_different_errors_are_joined_into_fewer_log_lines_and_each_is_there() -> None:
    failed = [protection.outcome(number, "failed", message=f"no {number + 9_000}") for number in range(2_000)]
    lines = render_protection_report(protection.report(*failed), is_whole=True).log_lines
    assert [line.level for line in lines] == [logging.ERROR] * 80
    assert sum(line.text.count("failed") for line in lines) == 2_000


def test_the_repr_of_a_report_and_of_its_error_does_not_grow_with_the_snapshots() -> None:
    """When a run ends, asyncio makes the repr of what it returns, twice: of thousands, it takes long."""
    findings = [audits.finding(number) for number in range(1, 1_001)]
    outcomes = [protection.outcome(number) for number in range(1, 1_001)]
    audit, protected = audits.report(audits.project(*findings)), protection.report(*outcomes)
    for result in (audit, protected, AuditFailedError(audit), SnapshotsNotProtectedError(protected)):
        assert len(repr(result)) < 1_000
