"""The message of an audit's report."""

import pickle
from datetime import timedelta

import pytest

from snapshot_protection.audit_baseline import PolicyVersion
from snapshot_protection.audit_pages import build_table, render_summary
from snapshot_protection.audit_report import (
    AuditFailedError,
    AuditReport,
    describe_policy,
    format_message,
    label,
)
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.policy import NamedPolicy, Policy, Rule
from snapshot_protection.project_audit import ProjectAudit
from tests.support.audit_reports import (
    DEAD,
    EARLIER,
    EVIDENCE,
    NOW,
    REMOVED,
    YESTERDAY,
    finding,
    project,
    report,
)


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
                "1 of 2 snapshots protected in 1 project, 1 unprotected, 1 in grace period, 1 "
                "missing. Run protect-snapshots to protect the unprotected snapshots."
            ),
        ),
        (
            report(project(REMOVED, finding(1))),
            (
                "1 of 2 snapshots protected in 1 project, 1 unprotected (1 new); prod/7 newly "
                f"unprotected: {EVIDENCE}. Find out who removed protection from, or deleted, these "
                "snapshots. Run protect-snapshots to protect the unprotected snapshots."
            ),
        ),
        (
            report(project(finding(4, "missing_protected"), finding(1))),
            (
                "1 of 1 snapshot protected in 1 project, 1 missing; prod/4 missing, was protected. "
                "Find out who removed protection from, or deleted, these snapshots."
            ),
        ),
        (
            report(project(EARLIER, finding(4, "missing_protected", since=YESTERDAY), finding(1))),
            (
                "1 of 2 snapshots protected in 1 project, 1 unprotected, 1 missing; prod/8 unprotected since "
                "2026-11-24 03:00 UTC; prod/4 missing since 2026-11-24 03:00 UTC, was protected. Find out "
                "who removed protection from, or deleted, these snapshots. Run protect-snapshots to "
                "protect the unprotected snapshots."
            ),
        ),
        (
            report(project(finding(1), history_lost=NOW, listed=NOW)),
            (
                "1 of 1 snapshot protected in 1 project; project 'prod': the baseline could not be read at "
                "2026-11-25 03:00 UTC; what was unprotected or deleted before is not known. Check in the "
                "Hetzner Console that no snapshot is missing where the baseline was lost."
            ),
        ),
        (
            report(project(finding(1)), DEAD),
            (
                "1 of 1 snapshot protected in 2 projects, 1 project could not be read; project 'dead' could "
                "not be read: it cannot be reached (unreachable). Restore access to the projects, "
                "then rerun the audit."
            ),
        ),
        (
            report(DEAD),
            (
                "1 project could not be read; project 'dead' could not be read: it cannot be reached "
                "(unreachable). Restore access to the projects, then rerun the audit."
            ),
        ),
        (
            report(project(finding(1)), project(finding(1), name="twin", duplicate_of="prod")),
            "1 of 1 snapshot protected in 1 project; 'twin' is the same project as 'prod'",
        ),
    ],
)
def test_the_message_counts_names_and_advises(told: AuditReport, message: str) -> None:
    assert format_message(told) == message


EXEMPT = finding(9, "exempt", reason="rule 'scratch'", by_rule=True)
EXPIRED = finding(10, "exemption_expired", reason="expired 2026-11-25 02:00 UTC, was for: to delete it")
POLICY = NamedPolicy("default", Policy(rules=[Rule(name="scratch", label_selector="scratch", protect=False)]))
DIGEST = POLICY.policy.digest[:12]


def test_what_is_exempt_is_counted_apart_and_does_not_lower_the_coverage() -> None:
    found = report(project(finding(1), EXEMPT, finding(11, "missing_exempt")))
    assert format_message(found) == "1 of 1 snapshot protected in 1 project, 1 exempt, 1 missing"
    assert (found.succeeded, found.unprotected, found.with_protection_removed) == (True, 0, [])


def test_an_exemption_that_has_expired_is_counted_named_and_has_a_next_step() -> None:
    assert format_message(report(project(finding(1), EXPIRED))) == (
        "1 of 2 snapshots protected in 1 project, 1 unprotected; prod/10 exemption expired, expired "
        "2026-11-25 02:00 UTC, was for: to delete it. Run protect-snapshots to protect the unprotected "
        "snapshots."
    )


def test_a_removal_that_a_rule_matches_now_says_so() -> None:
    found = report(project(REMOVED.model_copy(update={"reason": "now matches rule 'scratch'"})))
    assert f"prod/7 newly unprotected, now matches rule 'scratch': {EVIDENCE}" in format_message(found)


def test_the_message_names_the_policy_and_counts_what_no_rule_matches() -> None:
    twin = project(finding(1), name="twin", duplicate_of="prod", unmatched=12)
    assert format_message(report(project(finding(1), unmatched=12), twin, policy=POLICY)) == (
        "1 of 1 snapshot protected in 1 project; 'twin' is the same project as 'prod'; "
        f"policy 'default' ({DIGEST}), 12 snapshots matched no rule"
    )


@pytest.mark.parametrize(
    ("before", "policy", "text"),
    [
        (
            PolicyVersion("default", "f" * 64, YESTERDAY),
            POLICY,
            (
                f"policy 'default' ({DIGEST}), changed since the audit of 2026-11-24 03:00 UTC, when it was "
                "ffffffffffff, 0 snapshots matched no rule"
            ),
        ),
        (
            PolicyVersion("strict", "f" * 64, YESTERDAY),
            POLICY,
            (
                f"policy 'default' ({DIGEST}), unlike the audit of 2026-11-24 03:00 UTC, which followed "
                "policy 'strict' (ffffffffffff), 0 snapshots matched no rule"
            ),
        ),
        (
            PolicyVersion("default", "f" * 64, YESTERDAY),
            NamedPolicy(),
            (
                f"policy 'built-in' ({NamedPolicy().policy.digest[:12]}), since policy 'default' "
                "(ffffffffffff) of the audit of 2026-11-24 03:00 UTC is no longer saved"
            ),
        ),
        (None, NamedPolicy(), f"policy 'built-in' ({NamedPolicy().policy.digest[:12]})"),
    ],
)
def test_a_policy_that_has_changed_is_reported(
    before: PolicyVersion | None, policy: NamedPolicy, text: str
) -> None:
    earlier = before and before._replace(digest="a" * 64, audited=YESTERDAY - timedelta(days=9))
    projects = (project(finding(1), policy_before=before), project(name="b", policy_before=earlier))
    found = report(*projects, policy=policy)
    assert describe_policy(found) == text
    assert (text in format_message(found)) is (before is not None)
    assert escape_markdown(text) in render_summary(found)
    assert render_summary(found).startswith("## 🟢 1 of 1 snapshot protected in 2 projects\n")


def test_the_message_names_five_when_there_are_more() -> None:
    text = format_message(report(project(*(finding(number, "newly_unprotected") for number in range(1, 9)))))
    assert "prod/5 newly unprotected; and 3 more. " in text
    assert "prod/6" not in text


def test_eight_unprotected_of_which_one_is_new_are_told_apart() -> None:
    earlier = (finding(number, "newly_unprotected", since=YESTERDAY) for number in range(10, 17))
    found = report(project(REMOVED, *earlier))
    assert "8 unprotected (1 new)" in format_message(found)
    assert label(found.projects[0].findings[1]) == "🔴 unprotected since 2026-11-24 03:00 UTC"


def test_an_audit_that_could_not_read_a_baseline_has_not_succeeded_and_later_ones_only_report_it() -> None:
    assert not report(project(finding(1), history_lost=NOW, listed=NOW)).succeeded
    assert report(project(finding(1), history_lost=YESTERDAY, listed=NOW)).succeeded
    assert not report(DEAD).succeeded


def test_the_error_keeps_the_report_when_pickled() -> None:
    error = AuditFailedError(report(project(REMOVED), DEAD))
    copy = pickle.loads(pickle.dumps(error))
    assert copy.report == error.report
    assert str(copy) == str(error) == format_message(error.report)


def test_what_could_not_be_read_is_named_and_is_not_covered() -> None:
    error = ErrorInfo(
        code="unreadable", message="could not be read: an entry without a valid id on page 2: id: no"
    )
    bad = finding(7, "unreadable", reason="could not be read: type: Field required")
    told = report(project(bad, finding(1), without_id=(error,)), project(finding(2), name="b"))
    assert format_message(told) == (
        "2 of 3 snapshots protected in 2 projects, 2 could not be read; "
        "project 'prod': could not be read: an entry without a valid id on page 2: id: no; "
        "prod/7 could not be read: type: Field required. "
        "Check the unreadable snapshots in the Hetzner Console: whether they are protected is unknown."
    )
    assert told.unprotected == 0
    first, *_ = build_table(told.projects[0], now=told.audited)
    assert (first["finding"], first["snapshot"]) == ("🔴 could not be read: type: Field required", 7)
    assert first["protected"] == "?"
    summary = render_summary(told)
    assert summary.startswith("## 🔴 2 of 3")
    assert "| 🔴 | prod |" in summary
    assert "page 2" in summary
    assert "type: Field required" in summary.replace("\\", "")


def test_nothing_is_called_empty_when_its_only_entry_has_no_id() -> None:
    error = ErrorInfo(
        code="unreadable", message="could not be read: an entry without a valid id on page 1: id: no"
    )
    assert format_message(report(project(without_id=(error,)))).startswith(
        "0 of 0 snapshots protected in 1 project, 1 could not be read; project 'prod'"
    )


def test_what_else_is_to_be_known_of_a_project_is_in_the_message_and_its_summary_is_not_green() -> None:
    note = "1 version of the baseline could not be read; compared with that of 2026-11-23 03:00 UTC"
    audits = [project(finding(n), name=f"p{n}", note=note) for n in range(1, 8)]
    message = format_message(report(*audits))
    assert message.startswith(f"7 of 7 snapshots protected in 7 projects; project 'p1': {note}; ")
    assert message.endswith(f"project 'p5': {note}; and 2 more projects")
    assert render_summary(report(audits[0])).startswith("## 🟡")


@pytest.mark.parametrize(
    ("audited", "name"),
    [
        (
            project(finding(1), finding(2, "exempt"), finding(3, "in_grace_period"), finding(4, "missing")),
            "Completed",
        ),
        (project(finding(1), finding(2, "unprotected")), "Unprotected"),
        (project(REMOVED, finding(3, "missing_protected")), "Unprotected"),
        (project(finding(1, "exemption_expired")), "Unprotected"),
        (project(finding(1), finding(3, "missing_protected")), "Missing"),
        (project(finding(1), history_lost=YESTERDAY), "Baseline lost"),
    ],
)
def test_the_state_is_named_completed_only_when_nothing_needs_attention(
    audited: ProjectAudit, name: str
) -> None:
    assert report(audited).state_name == name
    assert name == "Completed" or "## 🟢" not in render_summary(report(audited))
