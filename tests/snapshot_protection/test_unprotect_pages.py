"""What is read before protection is removed: the plan, and the form that requests approval."""

from datetime import UTC, datetime

from snapshot_protection.unprotect_pages import render_form, render_plan
from snapshot_protection.unprotect_plan import ApprovalRequest, PlannedSnapshot, UnprotectPlan

_CREATED = datetime(2026, 11, 25, 4, 15, tzinfo=UTC)
_WHOLE = PlannedSnapshot(
    image_id=1,
    change="unprotect",
    description="before upgrade",
    server="db-1",
    created=_CREATED,
    size=2.5,
)


def _request(*snapshots: PlannedSnapshot, used: bool = False) -> ApprovalRequest:
    plan = UnprotectPlan(project="prod", reason="moved to the new cluster", hours=24, snapshots=snapshots)
    return ApprovalRequest(plan=plan, attempt=1, key="key", used=used)


def test_the_form_lists_all_that_is_known_of_a_snapshot_as_its_dialog_is_too_narrow_for_a_table() -> None:
    form = render_form(_request(_WHOLE, PlannedSnapshot(image_id=2, change="deleted")))
    assert form.startswith("## Remove protection from 2 snapshots of prod\n")
    assert "\n\n**Plan:** 1 unprotect, 1 deleted\n\n" in form
    [known] = [line for line in form.splitlines() if line.startswith("* **1**")]
    assert known.replace("\\", "") == (
        "* **1** unprotect: before upgrade, of db-1, created 2026-11-25 04:15 UTC, 2.50 GB"
    )
    assert "* **2** deleted\n" in form
    assert "|" not in form


def test_the_form_shows_the_first_twenty_and_names_the_plan_when_there_are_more() -> None:
    form = render_form(_request(*(PlannedSnapshot(image_id=one, change="unprotect") for one in range(1, 24))))
    assert "* **20** unprotect\n" in form
    assert "* **21**" not in form
    assert "And 3 more: see the plan among the run's artifacts." in form


def test_a_description_cannot_change_what_the_form_says_when_it_is_markdown() -> None:
    hostile = "x**\n\n## Approve at once <img src=x> [here](https://evil.test)"
    snapshot = PlannedSnapshot(image_id=1, change="unprotect", description=hostile, server=hostile)
    for page in (render_form(_request(snapshot)), render_plan(_request(snapshot))):
        assert sum(line.startswith("#") for line in page.splitlines()) == 1
        for mark in ("x**", "<img", "[here]", "https://"):
            assert mark not in page


def test_the_plan_says_how_to_approve_it_only_while_it_waits() -> None:
    assert "approve or reject it with Resume" in render_plan(_request(_WHOLE))
    assert "Resume" not in render_plan(_request(_WHOLE, used=True))
