"""Tables on terminals of every width: no id, project or outcome is cut off."""

from io import StringIO

import pytest
from rich.console import Console

from cli.tables import print_audit, print_protection
from snapshot_protection.error_info import ErrorInfo
from tests.support.audit_reports import finding, project
from tests.support.audit_reports import report as audit_report
from tests.support.protection_reports import FAILED, outcome
from tests.support.protection_reports import report as protection_report

ERROR = ErrorInfo(code="unknown_project", message="no saved credentials block has this name; " + "more " * 30)
AUDIT = audit_report(
    project(finding(100_000_013, "unprotected", description="db-1 before upgrade"), name="production"),
    project(name="misspelt", error=ERROR),
)
PROTECTION = protection_report(outcome(100_000_001, "already_protected"), FAILED)


def console(width: int) -> Console:
    return Console(width=width, file=StringIO())


def printed(on: Console) -> str:
    assert isinstance(on.file, StringIO)
    return on.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_projects_ids_and_outcomes_are_whole_on_a_terminal_of_any_width(width: int) -> None:
    audit, protection = console(width), console(width)
    print_audit(AUDIT, audit)
    print_protection(PROTECTION, protection)
    for whole in ("100000013", "production", "misspelt"):
        assert whole in printed(audit)
    for whole in ("100000001", "already_protected", "action_failed", "c0ffee"):
        assert whole in printed(protection)
    assert "unknown_project" in "".join(printed(audit).split())


def test_a_row_takes_few_lines_where_a_table_has_no_room() -> None:
    narrow = console(40)
    print_protection(PROTECTION, narrow)
    head, known, failed, error = printed(narrow).splitlines()
    assert (head, failed) == ("prod  100000001  already_protected", "prod  7  failed")
    assert known == "  description: snapshot 100000001"
    assert error.startswith(
        "  code: action_failed, action: 42, description: snapshot 7, message: its action failed, "
    )


def test_a_table_has_a_line_for_each_row_where_there_is_room() -> None:
    wide = console(120)
    print_protection(PROTECTION, wide)
    assert len(printed(wide).splitlines()) == 3
