"""What stops an approved deletion at the last moment: each of it alone is enough."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.models import Image
from snapshot_protection import prune_check
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import NamedPolicy, Policy
from snapshot_protection.prune_check import Obstacle, find_obstacle
from snapshot_protection.prune_plan import PruneLimits, PrunePlan, make_prune_plan, plan_due
from snapshot_protection.requirements import Requirements
from snapshot_protection.retention import ProjectLists, Retention, apply_retention
from snapshot_protection.unreadable import Listing
from tests.support.retention_worlds import KEPT, NOW, PRUNED, keep, lists, record_of, requirements, snapshot

RULE = PRUNED.model_copy(update={"keep": keep()})
DAY = timedelta(days=1)
SINCE = {1: NOW - 9 * DAY, 2: NOW - 9 * DAY}
SNAPSHOTS = (snapshot(1), snapshot(2), snapshot(3))
WANTED = requirements(RULE, KEPT)
EXEMPTION = Exemption(
    image_id=1, until=NOW + DAY, reason="moved to the new cluster", approved_by="Kim", flow_run_id=UUID(int=1)
)


def _plan(images: Sequence[Image] = SNAPSHOTS, wanted: Requirements = WANTED) -> PrunePlan:
    retention = apply_retention(lists(*images), wanted, NOW)
    planned = plan_due(retention, record_of(SINCE), PruneLimits(), NOW)
    return make_prune_plan(NamedPolicy("default", wanted.policy), PruneLimits(), [planned])


def _obstacle(
    *images: Image,
    in_use: Sequence[int] = (),
    wanted: Requirements = WANTED,
    since: dict[int, datetime] | None = None,
    now: datetime = NOW,
    plan: PrunePlan | None = None,
) -> Obstacle | None:
    plan = plan or _plan()
    record = record_of(SINCE if since is None else since)
    project = lists(*images, in_use=in_use)
    return find_obstacle(_plan().snapshots[0], plan, project, wanted, record, now)


def test_nothing_stops_the_deletion_of_what_is_still_due_and_unchanged() -> None:
    assert [one.image_id for one in _plan().snapshots] == [1, 2]
    assert _obstacle(*SNAPSHOTS) is None
    assert _obstacle(*reversed(SNAPSHOTS), now=NOW + 2 * DAY) is None
    assert _obstacle(SNAPSHOTS[0], SNAPSHOTS[2]) is None  # the next one was deleted
    assert _obstacle(*SNAPSHOTS, snapshot(4)) is None
    assert _obstacle(snapshot(1, protection={"delete": True}), *SNAPSHOTS[1:]) is None


@pytest.mark.parametrize(
    ("fields", "outcome", "reason"),
    [
        ({"type": "backup"}, "deleted", "it is no longer listed"),
        ({"deleted": "2026-11-25T00:00:00Z"}, "deleted", "already deleted"),
        ({"status": "creating"}, "kept", "not available, but creating"),
        ({"created": NOW}, "kept", "the newest"),
        ({"created": NOW + DAY}, "kept", "its date of creation is in the future"),
        ({"created": "never"}, "kept", "its date of creation is not known"),
        ({"created": NOW - 1_000 * DAY}, "kept", "changed since it was approved: other created"),
        ({"labels": {"env": "prod"}}, "kept", "rule 'kept' does not prune"),
        ({"labels": {}}, "kept", "no rule matches"),
        ({"labels": {"env": "dev", "a": "b"}}, "kept", "changed since it was approved: other labels"),
        ({"description": "keep me"}, "kept", "changed since it was approved: other description"),
        ({"description": "before the upgrade "}, "kept", "changed since it was approved: other details"),
        ({"created_from": None}, "kept", "the server it was created from is not known"),
        ({"created_from": {"id": 2, "name": "web-1"}}, "kept", "the newest"),
        ({"created_from": {"id": 1, "name": "web"}}, "kept", "changed since it was approved: other server"),
    ],
    ids=repr,
)
def test_a_snapshot_that_changed_is_left_when_it_has(
    fields: dict[str, Any], outcome: str, reason: str
) -> None:
    assert _obstacle(snapshot(1, **fields), *SNAPSHOTS[1:]) == Obstacle(outcome, reason)  # type: ignore[arg-type]


def test_a_snapshot_that_another_server_now_has_is_left_even_with_an_older_one_of_it() -> None:
    moved = snapshot(1, created_from={"id": 2, "name": "web-1"})
    sibling = snapshot(4, created_from={"id": 2, "name": "web-1"})
    assert _obstacle(moved, sibling, *SNAPSHOTS[1:]) == Obstacle(
        "kept", "changed since it was approved: other server id"
    )


def test_a_snapshot_that_is_no_longer_listed_is_deleted() -> None:
    assert _obstacle(*SNAPSHOTS[1:]) == Obstacle("deleted", "it is no longer listed")
    assert _obstacle() == Obstacle("deleted", "it is no longer listed")


def test_a_snapshot_whose_newer_siblings_were_deleted_is_left() -> None:
    assert _obstacle(snapshot(1)) == Obstacle("kept", "the newest")
    others = [snapshot(2, status="creating"), snapshot(3, created_from={"id": 2, "name": "b"})]
    assert _obstacle(snapshot(1), *others) == Obstacle("kept", "the newest")


def test_a_snapshot_that_a_server_uses_now_is_left() -> None:
    assert _obstacle(*SNAPSHOTS, in_use=[1]) == Obstacle("in_use", "a server was created from it")
    assert _obstacle(*SNAPSHOTS, in_use=[2, 3]) is None


def test_a_snapshot_that_is_exempt_now_is_left() -> None:
    obstacle = _obstacle(*SNAPSHOTS, wanted=requirements(RULE, KEPT, exempt=[EXEMPTION]))
    assert obstacle
    assert obstacle.outcome == "kept"
    assert obstacle.reason.startswith("exempt, approved until 2026-11-26 12:00 UTC")


def test_nothing_is_deleted_by_a_policy_that_was_edited_since() -> None:
    edited = replace(WANTED, policy=Policy(rules=[RULE, KEPT], timezone="Europe/Berlin"))
    assert _obstacle(*SNAPSHOTS, wanted=edited) == Obstacle(
        "kept", "the policy changed since it was approved"
    )


@pytest.mark.parametrize(
    ("since", "now"),
    [
        ({2: NOW - 9 * DAY}, NOW),
        ({1: NOW - 7 * DAY + timedelta(seconds=1)}, NOW),
        (SINCE, NOW + 2 * DAY + timedelta(seconds=1)),
        (SINCE, NOW - timedelta(hours=1)),
    ],
)
def test_nothing_is_deleted_in_quarantine(since: dict[int, datetime], now: datetime) -> None:
    assert _obstacle(*SNAPSHOTS, since=since, now=now) == Obstacle(
        "quarantined", "its quarantine is not over"
    )


def test_the_quarantine_of_another_project_or_policy_is_not_one() -> None:
    plan, expected = _plan(), "its quarantine record is of another project or policy"
    for other in (replace(record_of(SINCE), project="dev"), replace(record_of(SINCE), policy="other")):
        found = find_obstacle(plan.snapshots[0], plan, lists(*SNAPSHOTS), WANTED, other, NOW)
        assert found == Obstacle("quarantined", expected)


def test_what_was_not_approved_is_left() -> None:
    expected = Obstacle("kept", "it was not approved")
    plan = _plan()
    assert _obstacle(*SNAPSHOTS, plan=plan.model_copy(update={"snapshots": plan.snapshots[1:]})) == expected
    assert _obstacle(*SNAPSHOTS, wanted=replace(WANTED, project="dev")) == expected


def test_the_last_of_a_group_is_left_even_if_retention_did_not_keep_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def keeps_nothing(project: ProjectLists, wanted: Requirements, now: datetime) -> Retention:
        classified = apply_retention(project, wanted, now)
        return Retention("prod", {at: replace(one, reasons=()) for at, one in classified.verdicts.items()})

    monkeypatch.setattr(prune_check, "apply_retention", keeps_nothing)
    expected = Obstacle("kept", "no newer snapshot of its group would remain")
    assert _obstacle(snapshot(1)) == expected
    assert _obstacle(snapshot(1), snapshot(2, status="creating")) == expected
    assert _obstacle(snapshot(1), snapshot(2)) is None


_SIBLINGS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["available", "available", "creating"]),
            "labels": st.sampled_from([{"env": "dev"}, {"env": "dev"}, {"env": "prod"}, {}]),
            "created_from": st.sampled_from([{"id": 1, "name": "web-1"}, {"id": 2, "name": "b"}, None]),
        }
    ),
    max_size=5,
)


@given(_SIBLINGS, st.sets(st.integers(1, 6)), st.sets(st.integers(1, 6)))
def test_whatever_others_do_one_of_its_group_remains(
    siblings: list[dict[str, Any]], in_use: set[int], exempt: set[int]
) -> None:
    images = [snapshot(1), *(snapshot(at, **fields) for at, fields in enumerate(siblings, 2))]
    exemptions = [EXEMPTION.model_copy(update={"image_id": one}) for one in exempt]
    wanted = requirements(RULE, KEPT, exempt=exemptions)
    if _obstacle(*images, in_use=sorted(in_use), wanted=wanted) is None:
        assert 1 not in in_use | exempt
        assert any(
            one.id != 1
            and one.id not in exempt
            and one.status == "available"
            and one.labels == {"env": "dev"}
            and one.created_from == images[0].created_from
            for one in images
        )


def test_an_empty_list_of_servers_is_a_list() -> None:
    project = ProjectLists.of(Listing(SNAPSHOTS), [])
    plan = _plan()
    assert find_obstacle(plan.snapshots[0], plan, project, WANTED, record_of(SINCE), NOW) is None
