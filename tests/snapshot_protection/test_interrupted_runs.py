"""Which flow runs an audit reports as interrupted or never started, and in which words."""

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml

from snapshot_protection.audit_pages import render_summary
from snapshot_protection.audit_report import AuditFailedError, AuditReport, format_message
from snapshot_protection.interrupted_runs import (
    SILENT_AFTER_SECONDS,
    InterruptedRuns,
    UnfinishedRun,
    describe_run,
    select_silent,
)
from snapshot_protection.project_audit import ProjectAudit

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 25, 5, tzinfo=UTC)
ID = UUID("01a21533-64d8-74e0-897b-7d56b2707a1c")
ADVICE = (
    "Cancel these flow runs in the UI unless they are still in progress, and start again what is needed; "
    "protected snapshots are skipped."
)


def unfinished(state: str = "Running", **fields: Any) -> UnfinishedRun:
    known = {"id": ID, "name": "protect-prod", "since": NOW - timedelta(minutes=45), "started": True}
    return UnfinishedRun.model_validate(known | {"state": state} | fields)


def report(interrupted: InterruptedRuns) -> AuditReport:
    return AuditReport(audited=NOW, projects=(ProjectAudit(project="prod"),), interrupted=interrupted)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (
            unfinished(last_heartbeat=NOW - timedelta(minutes=44)),
            f"flow run 'protect-prod' ({ID}): Running since 2026-11-25 04:15 UTC, last heartbeat 04:16 UTC",
        ),
        (
            unfinished(last_heartbeat=NOW + timedelta(days=1)),
            "Running since 2026-11-25 04:15 UTC, last heartbeat 2026-11-26 05:00 UTC",
        ),
        (unfinished(), "Running since 2026-11-25 04:15 UTC, no heartbeat seen"),
        (unfinished("Pending", started=False), f"({ID}): Pending since 2026-11-25 04:15 UTC"),
        (unfinished(name="a\nb\x1b"), "flow run 'a b' ("),
    ],
    ids=["heartbeat", "another day", "no heartbeat", "pending", "untrusted name"],
)
def test_a_flow_run_is_described_by_what_was_seen(seen: UnfinishedRun, text: str) -> None:
    described = describe_run(seen)
    assert text in described
    assert "heartbeat" not in described or seen.started


@pytest.mark.parametrize(
    ("since", "heartbeat", "selected"),
    [
        (89, None, 0),
        (90, None, 1),
        (9000, 89, 0),
        (9000, 90, 1),
        (60, 9000, 0),
        (-3600, None, 0),
        (-3601, None, 1),
        (-3601, 89, 0),
    ],
)
def test_a_flow_run_is_silent_without_heartbeat_and_state_change(
    since: float, heartbeat: float | None, selected: int
) -> None:
    last = None if heartbeat is None else NOW - timedelta(seconds=heartbeat)
    seen = unfinished(since=NOW - timedelta(seconds=since), last_heartbeat=last)
    assert len(select_silent([seen], now=NOW)) == selected


def test_the_message_names_the_first_five_and_says_what_to_do() -> None:
    runs = tuple(unfinished("Pending", started=False, id=uuid4()) for _ in range(8))
    message = format_message(report(InterruptedRuns(runs=runs)))
    assert message.startswith(
        "No snapshot found in 1 project; 8 flow runs without a heartbeat or state change in the last 90 s: "
        f"flow run 'protect-prod' ({runs[0].id}): Pending since 2026-11-25 04:15 UTC; flow run"
    )
    assert message.endswith(f"; and 3 more. {ADVICE}")
    assert [str(one.id) in message for one in runs] == [True] * 5 + [False] * 3


def test_nothing_is_said_where_nothing_was_interrupted() -> None:
    assert format_message(report(InterruptedRuns())) == "No snapshot found in 1 project"
    assert "flow run" not in render_summary(report(InterruptedRuns()))


def test_the_summary_has_a_section_with_untrusted_names_escaped() -> None:
    runs = tuple(unfinished(id=uuid4(), name=f"<b>{number}</b>") for number in range(22))
    summary = render_summary(report(InterruptedRuns(runs=runs, is_complete=False)))
    _, _, section = summary.partition("### Flow runs that may be interrupted")
    assert "at least 22 flow runs without a heartbeat" in section
    assert section.count("- 🟡 flow run") == 20
    assert "- and 2 more, see the page Runs" in section
    assert "<b>" not in summary
    assert ADVICE in section


def test_a_failed_check_is_part_of_message_and_summary() -> None:
    audit = report(InterruptedRuns(error="the Prefect API returned 503"))
    text = "the check for interrupted flow runs failed: the Prefect API returned 503"
    assert format_message(audit) == f"No snapshot found in 1 project; {text}"
    assert f"- 🟡 {text}" in render_summary(audit).replace("\\", "")


def test_a_report_with_interrupted_runs_survives_pickling() -> None:
    audit = report(InterruptedRuns(runs=(unfinished(),)))
    assert pickle.loads(pickle.dumps(AuditFailedError(audit))).report == audit


def test_three_heartbeats_are_the_limit_and_more_before_a_state_is_changed() -> None:
    described = yaml.safe_load((ROOT / "docs" / "automations" / "zombie-runs.yaml").read_text())
    automation = described["automations"][0]
    prefect_yaml = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    frequency = prefect_yaml["definitions"]["pool"]["job_variables"]["env"][
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
    ]
    assert 3 * int(frequency) == SILENT_AFTER_SECONDS
    within = automation["trigger"]["within"]
    assert within == 4 * int(frequency) + 120
    assert f"{within // 60} minutes" in automation["actions"][0]["message"]


def test_no_deployment_has_a_concurrency_limit() -> None:
    assert "concurrency" not in (ROOT / "prefect.yaml").read_text()
