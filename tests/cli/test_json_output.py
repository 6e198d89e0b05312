"""What `--json` prints: one object for every result, and nothing else on standard output."""

import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import FlowRun

from cli.flow_run import run_flow
from cli.policy import check_policy
from cli.prune import start_pruning
from cli.unprotect import start_unprotecting
from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection import audit_report, protection_report, prune_report, unprotect_report
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.unprotect_plan import PlannedSnapshot, UnprotectPlan
from tests.support import audit_reports as audits
from tests.support import protection_reports as protection

RUN_ID = UUID("974ec25e-f454-4243-8f54-786662fec316")
PRUNED = prune_report.PruneReport(
    dry_run=True,
    policy="default",
    quarantine_days=7,
    max_deletions=10,
    projects=(
        prune_report.ProjectPruneReport(
            project="prod",
            outcomes=(PruneOutcome(project="prod", image_id=7, outcome="quarantined", due=audits.NOW),),
        ),
    ),
)
UNPROTECTED = unprotect_report.UnprotectReport(
    plan=UnprotectPlan(project="prod", reason="a reason", hours=24, snapshots=()),
    outcomes=(
        unprotect_report.UnprotectOutcome(
            snapshot=PlannedSnapshot(image_id=7, change="unprotect"), outcome="unprotected"
        ),
    ),
    until=audits.NOW + timedelta(hours=24),
)
AUDITED = audits.report(audits.project(audits.REMOVED, audits.finding(2)))


async def ends_with(result: Any) -> Any:
    if isinstance(result, Exception):
        raise result
    return result


def printed(
    capsys: pytest.CaptureFixture[str], result: Any, format_message: Callable[[Any], str], *, status: int = 0
) -> dict[str, Any]:
    def no_table(*_: object) -> None:
        raise AssertionError

    flow_run: Coroutine[Any, Any, Any] = ends_with(result)
    assert run_flow(flow_run, no_table, format_message, as_json=True) == status
    document = json.loads(capsys.readouterr().out)
    assert document["succeeded"] is (status == 0)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("report", "format_message", "projects_of"),
    [
        (
            protection.report(protection.outcome(7), protection.outcome(8, "already_protected")),
            protection_report.format_message,
            lambda report: report["projects"][0]["snapshots"][0]["image_id"],
        ),
        (
            AUDITED,
            audit_report.format_message,
            lambda report: report["projects"][0]["findings"][0]["image_id"],
        ),
        (
            PRUNED,
            prune_report.format_message,
            lambda report: report["projects"][0]["outcomes"][0]["image_id"],
        ),
        (
            UNPROTECTED,
            unprotect_report.format_message,
            lambda report: report["outcomes"][0]["snapshot"]["image_id"],
        ),
    ],
    ids=["protect", "audit", "prune", "unprotect"],
)
def test_a_report_is_an_object_with_its_message(
    capsys: pytest.CaptureFixture[str],
    report: Any,
    format_message: Callable[[Any], str],
    projects_of: Callable[[Any], int],
) -> None:
    document = printed(capsys, report, format_message)
    assert document["message"] == format_message(report)
    assert projects_of(document["report"]) == 7


def test_a_failed_run_has_its_report_and_the_message_on_standard_error_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = protection.report(protection.FAILED)
    error = protection_report.SnapshotsNotProtectedError(failed)
    document = printed(capsys, error, protection_report.format_message, status=1)
    assert document["report"]["projects"][0]["snapshots"][0]["correlation_id"] == "c0ffee"
    assert document["message"] == str(error)


def test_a_parameter_that_is_not_usable_is_an_object_without_a_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = printed(capsys, InvalidArgumentError("The timeout is wrong."), str, status=1)
    assert document == {"succeeded": False, "message": "The timeout is wrong."}


@pytest.mark.parametrize(("report", "name"), [(AUDITED, "Unprotected: "), (audits.report(), "Completed: ")])
def test_the_last_line_of_an_audit_begins_with_the_name_of_its_state(
    capsys: pytest.CaptureFixture[str], report: audit_report.AuditReport, name: str
) -> None:
    assert run_flow(ends_with(report), lambda *_: None, lambda _: "the message") == 0
    assert capsys.readouterr().out == f"{name}the message\n"


PRUNE = {
    "projects": ["prod"],
    "policy": "default",
    "dry_run": False,
    "quarantine_days": 7,
    "max_deletions": 10,
    "timeout_seconds": 900,
}
UNPROTECT = {
    "project": "prod",
    "image_ids": [7],
    "reason": "replaced by a newer one",
    "hours": 24,
    "timeout_seconds": 900,
}


@pytest.mark.parametrize(("start", "parameters"), [(start_pruning, PRUNE), (start_unprotecting, UNPROTECT)])
def test_a_started_run_is_an_object_with_its_id(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[..., int],
    parameters: dict[str, Any],
) -> None:
    async def started(*_: object, **__: object) -> FlowRun:
        return FlowRun(id=RUN_ID, flow_id=RUN_ID, name="prune-prod")

    monkeypatch.setattr("cli.deployment_run.arun_deployment", started)
    assert start(parameters, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["succeeded"] is True
    assert document["flow_run"]["id"] == str(RUN_ID)
    assert start(parameters | {"timeout_seconds": 0}, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["succeeded"] is False


def test_a_policy_is_an_object_with_its_rules_and_no_projects_where_none_was_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("rules: [{name: ci, label_selector: purpose=ci, protect: false}]")
    assert check_policy(file, [], offline=True, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["policy"]["rules"][0]["label_selector"] == "purpose=ci"
    assert "projects" not in document
    file.write_text("rules: [")
    assert check_policy(file, [], offline=True, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["succeeded"] is False
