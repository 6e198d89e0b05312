"""Tables on terminals of every width, and in a pipe: a line for each snapshot, no id cut."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from cli.tables import make_console, print_audit, print_protection, print_prune, print_unprotect
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.protection_report import ProjectReport, ProtectionReport
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_report import ProjectPruneReport, PruneReport
from snapshot_protection.unprotect_plan import PlannedSnapshot, UnprotectPlan
from snapshot_protection.unprotect_report import UnprotectOutcome, UnprotectReport
from tests.support.audit_reports import EARLIER, NOW, REMOVED, finding, project
from tests.support.audit_reports import report as audit_report
from tests.support.protection_reports import FAILED, outcome

LONG = "the API returned 422: " + "more of it " * 40 + "and the end"
ERROR = ErrorInfo(code="unknown_project", message=LONG, correlation_id="0badcafe")
LONG_NAME = "project-with-a-name-" + "x" * 40
WIDE = "数据库备份 🎉 " * 20
HOSTILE = "| <b>[red]bold[/red]</b> `code` \\ " * 9
BIG = 2**53 - 1


def mixed(name: str) -> ProjectReport:
    outcomes = (
        outcome(100_000_001, "already_protected"),
        outcome(100_000_002, "protected", description=WIDE, server="db-1.example.org"),
        outcome(100_000_003, "protected", description=HOSTILE),
        outcome(BIG, "failed", code="invalid_input", message=LONG, correlation_id="c0ffee", action_id=BIG),
        outcome(100_000_005, "failed", code="unreadable", message="its protection could not be read"),
        outcome(100_000_006, "unfinished", code="action_unfinished", message="action still running (40 %)"),
    )
    return ProjectReport(
        project=name, snapshots=tuple(one.model_copy(update={"project": name}) for one in outcomes)
    )


def protection(*names: str) -> ProtectionReport:
    projects = [*map(mixed, names), ProjectReport(project="misspelt", error=ERROR)]
    return ProtectionReport(dry_run=False, projects=tuple(projects))


AUDIT = audit_report(
    project(
        REMOVED,
        EARLIER,
        finding(100_000_012, "unreadable", reason=LONG),
        finding(100_000_013, "unprotected", description=WIDE, server="db-1.example.org"),
        finding(BIG, "missing_protected", description=HOSTILE, is_new=True),
        finding(100_000_014, "exempt", reason="rule 'scratch' of policy 'default'"),
        name=LONG_NAME,
    ),
    project(finding(100_000_015, "unprotected"), name="production"),
    project(name="misspelt", error=ERROR),
)
UNPROTECTED = UnprotectReport(
    plan=UnprotectPlan(project=LONG_NAME, reason="a reason", hours=24, snapshots=()),
    outcomes=(
        UnprotectOutcome(
            snapshot=PlannedSnapshot(image_id=BIG, change="unprotect", description=WIDE),
            outcome="failed",
            error=ERROR,
            action_id=BIG,
        ),
    ),
    until=NOW,
)


def prune_outcome(image_id: int, name: str, **fields: object) -> PruneOutcome:
    known: dict[str, object] = {"project": LONG_NAME, "image_id": image_id, "outcome": name}
    return PruneOutcome.model_validate(known | fields)


PRUNED = PruneReport(
    dry_run=False,
    policy="default",
    quarantine_days=7,
    max_deletions=10,
    projects=(
        ProjectPruneReport(
            project=LONG_NAME,
            outcomes=(
                prune_outcome(BIG, "left_unprotected", code="locked", message=LONG, correlation_id="c0ffee"),
                prune_outcome(2, "kept", reasons=("the newest of 2026-W47 (weekly)",), description=WIDE),
                prune_outcome(3, "quarantined", due=NOW, rule="ci", created=NOW - timedelta(days=9)),
            ),
            error=ERROR,
        ),
    ),
)


def printed(print_report: object, report: object, console: Console) -> list[str]:
    print_report(report, console)  # type: ignore[operator]  # each with a report of its own
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def on(width: int) -> Console:
    return Console(width=width, file=StringIO())


REPORTS = pytest.mark.parametrize(
    ("print_report", "report"),
    [
        (print_protection, protection("prod", LONG_NAME)),
        (print_protection, protection("prod", "staging")),
        (print_audit, AUDIT),
        (print_unprotect, UNPROTECTED),
        (print_prune, PRUNED),
    ],
    ids=["protection-long-name", "protection", "audit", "unprotect", "prune"],
)


@REPORTS
@pytest.mark.parametrize("width", [80, 100, 132])
def test_no_line_is_wider_than_the_terminal(print_report: object, report: object, width: int) -> None:
    assert max(map(cell_len, printed(print_report, report, on(width)))) <= width


@REPORTS
@pytest.mark.parametrize("width", [40, 80, 132])
def test_no_id_is_cut(print_report: object, report: object, width: int) -> None:
    lines = printed(print_report, report, on(width))
    assert [line for line in lines if str(BIG) in line]
    assert "0badcafe" in "\n".join(lines)


@REPORTS
def test_a_long_error_is_whole_below_the_table(print_report: object, report: object) -> None:
    lines = printed(print_report, report, on(80))
    table, reasons = lines[: lines.index("")], lines[lines.index("") :]
    assert not [line for line in table if "more of it" in line]
    assert "and the end" in " ".join(" ".join(reasons).split())


def test_each_snapshot_has_a_line_at_80_columns() -> None:
    lines = printed(print_protection, protection("prod", LONG_NAME), on(80))
    for image_id in (100_000_001, 100_000_003, BIG):
        rows = [line for line in lines if line.startswith(str(image_id))]
        assert len(rows) == 2


def test_the_projects_are_headings_where_a_name_has_no_room() -> None:
    lines = printed(print_protection, protection("prod", LONG_NAME), on(80))
    assert {"prod", LONG_NAME} <= set(lines)


def test_nothing_is_cut_in_a_pipe_and_a_row_is_one_line_without_blanks_at_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_protection(protection("prod", LONG_NAME), make_console())
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("prod ") and HOSTILE.strip() in line]
    assert [line for line in lines if LONG in line and line.startswith("2 failed: ")]
    assert not [line for line in lines if line != line.rstrip()]
    assert not [line for line in lines if "…" in line]


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_projects_ids_and_outcomes_are_whole_on_a_terminal_of_any_width(width: int) -> None:
    lines = printed(print_protection, ProtectionReport(dry_run=False, projects=(mixed("prod"),)), on(width))
    text = "\n".join(lines)
    for whole in ("100000001", "already_protected", str(BIG), "unfinished", "c0ffee"):
        assert whole in text


def test_one_reason_of_many_snapshots_is_printed_once() -> None:
    failed = [FAILED.model_copy(update={"image_id": image_id}) for image_id in range(1, 39)]
    one = ProtectionReport(dry_run=False, projects=(ProjectReport(project="prod", snapshots=tuple(failed)),))
    lines = printed(print_protection, one, on(80))
    assert lines[lines.index("") + 1] == "38 failed: its action failed (action_failed)"
    assert "and 33 more" in lines[-1]


def test_of_an_audit_only_what_needs_attention_is_a_row_and_the_most_severe_is_last() -> None:
    some = audit_report(project(REMOVED, finding(2, "unprotected"), finding(3), name="prod"))
    lines = printed(print_audit, some, on(80))
    rows = [line.split()[1] for line in lines if line.startswith("prod")]
    assert rows == ["2", "7"]
    assert lines[-2:] == ["newly unprotected: removed by action 8 of 2026-11-24 22:15:00 UTC", "  prod/7"]
