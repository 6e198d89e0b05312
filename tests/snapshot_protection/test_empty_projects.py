"""Where nothing was found, a message says so, and by which label selector."""

import pytest

from snapshot_protection import audit_report, protection_report
from snapshot_protection.audit_report import AuditReport
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.protection_report import ProjectReport, ProtectionReport
from tests.support.audit_reports import DEAD, finding, project, report
from tests.support.protection_reports import outcome

SELECTOR = "env=prod"
FULL = ProjectReport(project="full", snapshots=(outcome(1, project="full"),))
EMPTY = ProjectReport(project="empty")
BARE = ProjectReport(project="bare")
UNREAD = ProjectReport(project="dead", error=ErrorInfo(code="unreachable", message="it cannot be reached"))


def protected(*projects: ProjectReport, selector: str = "") -> ProtectionReport:
    return ProtectionReport(dry_run=False, projects=projects, label_selector=selector)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (protected(EMPTY), "No snapshot found in 1 project"),
        (
            protected(EMPTY, selector=SELECTOR),
            "No snapshot matches the label selector 'env=prod' in 1 project",
        ),
        (
            protected(EMPTY, BARE, selector=SELECTOR),
            "No snapshot matches the label selector 'env=prod' in 2 projects",
        ),
        (
            protected(FULL, EMPTY),
            (
                "1 of 1 snapshot protected in 2 projects (1 newly protected, 0 already protected); "
                "no snapshot found in project 'empty'"
            ),
        ),
        (
            protected(FULL, EMPTY, BARE, selector=SELECTOR),
            (
                "1 of 1 snapshot protected in 3 projects (1 newly protected, 0 already protected); "
                "no snapshot matches the label "
                "selector 'env=prod' in 2 projects: 'empty', 'bare'"
            ),
        ),
        (
            protected(EMPTY, UNREAD, selector=SELECTOR),
            (
                "No snapshot matches the label selector 'env=prod' in 1 project, "
                "1 project could not be read; project 'dead' could not be read: "
                "it cannot be reached (unreachable). "
                "Fix the cause and run again; protected snapshots are skipped."
            ),
        ),
    ],
)
def test_a_protection_run_names_what_matched_nothing(told: ProtectionReport, message: str) -> None:
    assert protection_report.format_message(told) == message


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            report(project(), label_selector=SELECTOR),
            "No snapshot matches the label selector 'env=prod' in 1 project",
        ),
        (
            report(project(finding(1)), project(name="b"), label_selector=SELECTOR),
            (
                "1 of 1 snapshot protected in 2 projects; "
                "no snapshot matches the label selector 'env=prod' in project 'b'"
            ),
        ),
        (
            report(project(finding(1, "missing")), label_selector=SELECTOR),
            (
                "0 of 0 snapshots protected in 1 project, 1 missing; "
                "no snapshot matches the label selector 'env=prod' in project 'prod'"
            ),
        ),
        (
            report(project(), DEAD),
            (
                "No snapshot found in 1 project, 1 project could not be read; project 'dead' could not be "
                "read: it cannot be reached (unreachable). Restore access to the projects, "
                "then rerun the audit."
            ),
        ),
    ],
)
def test_an_audit_names_what_matched_nothing(told: AuditReport, message: str) -> None:
    assert audit_report.format_message(told) == message


def test_a_message_is_bounded_when_a_thousand_projects_are_empty_or_cannot_be_read() -> None:
    empty = [ProjectReport(project=f"empty-{number}") for number in range(1_000)]
    dead = [UNREAD.model_copy(update={"project": f"dead-{number}"}) for number in range(1_000)]
    text = protection_report.format_message(protected(FULL, *empty, *dead, selector="a=b," * 5_000))
    assert "'empty-4' and 995 more" in text
    assert (
        "project 'dead-4' could not be read: it cannot be reached (unreachable); and 995 more projects"
        in text
    )
    assert len(text) < 1_500


def test_an_audit_s_message_is_bounded_when_a_thousand_projects_cannot_be_read() -> None:
    dead = [DEAD.model_copy(update={"project": f"dead-{number}"}) for number in range(1_000)]
    text = audit_report.format_message(report(project(finding(1)), *dead))
    assert "dead-4' could not be read: it cannot be reached (unreachable); and 995 more projects." in text
    assert len(text) < 1_000
