"""The pages of a prune run show every string escaped, and no more than fits."""

from datetime import UTC, datetime, timedelta

from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_pages import MAX_TABLE_ROWS, build_row, render_form, render_plan
from snapshot_protection.prune_pages import render_prune_report as render
from snapshot_protection.prune_plan import PlannedDeletion, PruneApprovalRequest, PrunePlan
from snapshot_protection.prune_report import ProjectPruneReport, PruneReport

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> | ![x](http://evil)"


def outcome(image_id: int, **fields: object) -> PruneOutcome:
    known = {"project": "prod", "image_id": image_id, "outcome": "kept", "description": HOSTILE}
    return PruneOutcome.model_validate({**known, **fields})


def report(*outcomes: PruneOutcome, dry_run: bool = True) -> PruneReport:
    project = ProjectPruneReport(project="prod", outcomes=outcomes, note=HOSTILE)
    return PruneReport(
        dry_run=dry_run, policy=HOSTILE, quarantine_days=7, max_deletions=10, projects=(project,)
    )


def request(number: int) -> PruneApprovalRequest:
    snapshots = tuple(
        PlannedDeletion(
            project="prod",
            image_id=image_id,
            rule="nightly",
            server_id=1,
            type="snapshot",
            status="available",
            created=NOW,
            description=HOSTILE,
            fingerprint="",
        )
        for image_id in range(1, number + 1)
    )
    plan = PrunePlan(
        policy="p", policy_digest="0" * 64, quarantine_days=7, max_deletions=9, snapshots=snapshots
    )
    return PruneApprovalRequest(plan=plan, attempt=1, key="key", differences=(HOSTILE,))


def test_a_row_has_rule_age_size_and_due_date() -> None:
    row = build_row(
        outcome(
            7, outcome="quarantined", rule="nightly", due=NOW, created=NOW - timedelta(days=40), size=2.3
        ),
        NOW,
    )
    assert (row["rule"], row["age"], row["GB"], row["due"]) == (
        "nightly",
        "40 d",
        "2.30",
        "2026-11-25 03:00 UTC",
    )


def test_what_others_wrote_is_escaped_on_every_page() -> None:
    summary = render(report(outcome(1, outcome="failed", message=HOSTILE)), NOW).summary.markdown
    assert isinstance(summary, str)
    for page in (summary, render_plan(request(1)), render_form(request(1))):
        assert "<script>" not in page
        assert "![x]" not in page


def test_a_table_shows_the_most_severe_of_thousands_and_says_how_many_more() -> None:
    many = [outcome(number) for number in range(1, MAX_TABLE_ROWS + 10)]
    [table] = render(report(*many, outcome(9_999, outcome="would_prune")), NOW).tables
    assert len(table.rows) == MAX_TABLE_ROWS
    assert table.rows[0]["snapshot"] == 9_999
    assert "; 10 more are not shown." in table.description
    assert table.key == "prune-plan-snapshots-prod"


def test_a_form_names_twenty_and_says_how_many_more() -> None:
    form = render_form(request(25))
    assert "And 5 more" in form
    assert "cannot be restored" in form


def test_a_plan_says_how_many_more_are_to_be_deleted_than_its_table_shows() -> None:
    page = render_plan(request(MAX_TABLE_ROWS + 3))
    assert f"| {MAX_TABLE_ROWS} |" in page
    assert "**And 3 more" in page
    assert "more" not in render_plan(request(MAX_TABLE_ROWS)).partition("| project |")[2]
