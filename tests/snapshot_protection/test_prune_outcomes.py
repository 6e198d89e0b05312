"""The outcome of a prune run for each snapshot, exactly one."""

from datetime import timedelta
from typing import get_args

import pytest

from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.keep_reasons import Reason, ReasonKind
from snapshot_protection.prune_outcomes import PruneOutcome, PruneOutcomeName, kept_outcome, planned_outcomes
from snapshot_protection.prune_plan import PruneLimits
from snapshot_protection.retention import ProjectLists, Verdict, apply_retention
from snapshot_protection.unreadable import UNREADABLE, Listing, UnreadableSnapshot
from tests.support.retention_worlds import KEPT, NOW, PRUNED, keep, lists, record_of, requirements, snapshot

RULE = PRUNED.model_copy(update={"keep": keep()})
DAY = timedelta(days=1)
SINCE = {1: NOW - 30 * DAY, 2: NOW - 20 * DAY, 3: NOW - 10 * DAY, 4: NOW - DAY}


def outcomes(**limits: int) -> dict[int, PruneOutcome]:
    images = [*(snapshot(one) for one in range(1, 7)), snapshot(7, labels={"env": "prod"}), snapshot(99)]
    dead = snapshot(98, deleted="2026-11-01T00:00:00Z")
    retention = apply_retention(lists(*images, dead, in_use=[6]), requirements(RULE, KEPT), NOW)
    found = planned_outcomes(retention, record_of(SINCE), PruneLimits(**limits), NOW)
    assert [one.image_id for one in found] == [*range(1, 8), 99, 98]
    return {one.image_id: one for one in found}


def test_a_dry_run_reports_one_outcome_for_each_snapshot() -> None:
    assert {image_id: one.outcome for image_id, one in outcomes(max_deletions=2).items()} == {
        1: "would_prune",
        2: "would_prune",
        3: "queued",
        4: "quarantined",
        5: "quarantined",  # a candidate that the record does not have yet
        6: "in_use",
        7: "kept",
        98: "deleted",
        99: "kept",
    }


def test_each_outcome_has_why_it_is_kept_or_when_it_is_due() -> None:
    found = outcomes()
    assert found[4].due == NOW + 6 * DAY
    assert found[5].due is None
    assert found[1].due == NOW - 23 * DAY
    assert found[99].reasons == ("the newest",)
    assert found[7].reasons == ("rule 'kept' does not prune",)
    assert found[6].reasons == ("a server was created from it",)
    assert found[98].reasons == ("already deleted",)
    assert [found[image_id].due for image_id in (6, 7, 98, 99)] == [None] * 4
    assert (found[4].rule, found[4].server, found[4].size) == ("pruned", "web-1", 2.3)
    assert (found[4].description, found[4].created) == ("before the upgrade", NOW - 996 * DAY)


def test_what_is_kept_has_no_due_date_even_if_a_record_has_it() -> None:
    retention = apply_retention(lists(snapshot(1)), requirements(RULE), NOW)
    [outcome] = planned_outcomes(retention, record_of({1: NOW - 30 * DAY}), PruneLimits(), NOW)
    assert (outcome.outcome, outcome.due) == ("kept", None)


def test_a_snapshot_that_could_not_be_read_is_kept() -> None:
    entry = UnreadableSnapshot(5, ErrorInfo(code=UNREADABLE, message="could not be read: protection"))
    retention = apply_retention(ProjectLists(Listing([entry]), frozenset()), requirements(RULE), NOW)
    [outcome] = planned_outcomes(retention, record_of({}), PruneLimits(), NOW)
    assert (outcome.outcome, outcome.rule, outcome.created) == ("kept", "", None)
    assert outcome.reasons == ("could not be read: protection",)


@pytest.mark.parametrize("kind", get_args(ReasonKind))
def test_what_anything_else_keeps_too_is_not_only_in_use(kind: ReasonKind) -> None:
    verdict = Verdict(snapshot(1), reasons=(Reason(kind, "so"), Reason("in_use", "a server")))
    expected = {"in_use": "in_use", "deleted": "deleted"}
    assert kept_outcome(verdict) == expected.get(kind, "kept")
    assert kept_outcome(Verdict(snapshot(1))) is None


@pytest.mark.parametrize("name", get_args(PruneOutcomeName))
def test_a_failure_needs_attention_and_nothing_else_does(name: PruneOutcomeName) -> None:
    planned = outcomes()[1]
    error = ErrorInfo(code="locked", message="another action runs", correlation_id="c0ffee")
    became = planned.become(name, error)
    assert became.needs_attention is (name in {"failed", "reprotected", "left_unprotected"})
    assert (became.code, became.message, became.correlation_id) == ("locked", "another action runs", "c0ffee")
    assert became.become("would_prune") == planned
