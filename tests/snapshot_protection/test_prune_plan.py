"""What a prune run plans to delete, what its approval covers, and what changes between two plans."""

import inspect
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.projects import Project
from flows._prune_observation import Observation
from hetzner_cloud.models import Image
from snapshot_protection.policy import NamedPolicy, Policy, Rule
from snapshot_protection.prune_plan import (
    PlannedDeletion,
    PruneApprovalRequest,
    PruneLimits,
    PrunePlan,
    changed_fields,
    describe_differences,
    describe_nothing_to_prune,
    describe_request,
    make_prune_plan,
    plan_deletion,
    plan_due,
    select_approved,
    select_due,
)
from snapshot_protection.retention import apply_retention
from tests.support.retention_worlds import KEPT, NOW, PRUNED, keep, lists, record_of, requirements, snapshot

RULE = PRUNED.model_copy(update={"keep": keep()})
POLICY = NamedPolicy("default", Policy(rules=[RULE]))
LONG_AGO = NOW - timedelta(days=30)
NEWEST = snapshot(99)


def _planned(
    *images: Image, since: dict[int, datetime] | None = None, now: datetime = NOW, **limits: Any
) -> tuple[PlannedDeletion, ...]:
    retention = apply_retention(lists(*images, NEWEST), requirements(RULE), now)
    begun = since if since is not None else dict.fromkeys(range(100), LONG_AGO)
    bounds = PruneLimits(**limits)
    due = plan_due(retention, record_of(begun, now), bounds, now)
    return Observation(Project("prod"), due=due, max_deletions=bounds.max_deletions).planned


def _plan(*images: Image, project: str = "", **limits: Any) -> PrunePlan:
    planned = (one.model_copy(update={"project": project or one.project}) for one in _planned(*images))
    return make_prune_plan(POLICY, PruneLimits(**limits), [planned])


def _ids(planned: Iterable[PlannedDeletion]) -> list[int]:
    return [one.image_id for one in planned]


def test_what_is_due_is_planned_the_oldest_first_up_to_the_limit() -> None:
    images = [snapshot(one) for one in (3, 1, 4, 2)]
    assert _ids(_planned(*images)) == [1, 2, 3, 4]
    assert _ids(_planned(*images, max_deletions=2)) == [1, 2]
    begun = {1: NOW - timedelta(days=6), 3: NOW - timedelta(days=7), 4: NOW - timedelta(days=8)}
    assert _ids(_planned(*images, since=begun)) == [3, 4]
    assert _ids(_planned(*images, since=begun, quarantine_days=0)) == [1, 3, 4]
    assert _planned(*images, since=begun, quarantine_days=9) == ()


def test_only_candidates_are_due_whatever_a_record_holds() -> None:
    retention = apply_retention(lists(snapshot(1), NEWEST), requirements(RULE), NOW)
    record = record_of({1: LONG_AGO, 99: LONG_AGO, 7: LONG_AGO})
    assert [image.id for image in select_due(retention, record, 7, NOW)] == [1]


def test_a_planned_deletion_shows_what_an_approver_must_know_on_one_line_each() -> None:
    labels = {"z": "1", "env": "dev", "a": ""}
    [planned] = _planned(snapshot(1, description="--> \x1b[31m\nold", labels=labels))
    assert planned.model_dump(exclude={"fingerprint"}) == {
        "project": "prod",
        "image_id": 1,
        "rule": "pruned",
        "server_id": 1,
        "server": "web-1",
        "type": "snapshot",
        "status": "available",
        "created": NOW - timedelta(days=999),
        "labels": "a=, env=dev, z=1",
        "description": "--> [31m old",
        "size": 2.3,
    }
    assert str(planned) == "snapshot 1 of prod"


def test_what_is_no_candidate_cannot_be_described_as_a_deletion() -> None:
    retention = apply_retention(lists(snapshot(1, status="creating")), requirements(RULE), NOW)
    with pytest.raises(ValueError, match="snapshot 1 is not a candidate"):
        plan_deletion(retention, snapshot(1))


_CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"protection": {"delete": True}}, []),
    ({"name": "a name"}, []),
    ({"description": "another"}, ["description"]),
    ({"labels": {"env": "dev", "new": ""}}, ["labels"]),
    ({"created": NOW - timedelta(days=1_000)}, ["created"]),
    ({"created_from": {"id": 1, "name": "web-2"}}, ["server"]),
    ({"image_size": 2.4}, ["size"]),
    ({"description": "before  the upgrade"}, ["details"]),
    ({"description": "before the upgrade\ud800"}, ["details"]),
    ({"created_from": {"id": 1, "name": "web-1 "}}, ["details"]),
    ({"labels": {"env": "dev", "a": "b\x00"}}, ["labels"]),
]


@pytest.mark.parametrize(("fields", "changed"), _CHANGES, ids=repr)
def test_a_snapshot_that_changed_is_not_the_one_that_was_approved(
    fields: dict[str, Any], changed: list[str]
) -> None:
    before, now = _plan(snapshot(1), snapshot(2)), _plan(snapshot(1, **fields), snapshot(2))
    assert changed_fields(before.snapshots[0], now.snapshots[0]) == changed
    text = f"snapshot 1 of prod: other {', '.join(changed)}"
    assert describe_differences(before, now) == ([text] if changed else [])
    assert _ids(select_approved(before, now)) == ([2] if changed else [1, 2])
    assert (before.digest == now.digest) is not bool(changed)


def test_a_label_that_changed_invisibly_is_a_change() -> None:
    before, now = (_plan(snapshot(1, labels={"env": "dev", "z": value})) for value in ("b", "b\x00"))
    assert describe_differences(before, now) == ["snapshot 1 of prod: other details"]
    assert select_approved(before, now) == ()


def test_what_an_approved_plan_does_not_have_is_not_approved() -> None:
    approved, now = _plan(snapshot(1), snapshot(2)), _plan(snapshot(2), snapshot(3))
    assert _ids(select_approved(approved, now)) == [2]
    assert describe_differences(approved, now) == [
        "snapshot 1 of prod: no longer to be deleted",
        "snapshot 3 of prod: also to be deleted",
    ]


def test_the_same_id_of_another_project_is_another_snapshot() -> None:
    approved, now = _plan(snapshot(1)), _plan(snapshot(1), project="dev")
    assert select_approved(approved, now) == ()
    assert describe_differences(approved, now) == [
        "snapshot 1 of prod: no longer to be deleted",
        "snapshot 1 of dev: also to be deleted",
    ]


@pytest.mark.parametrize("field", [name for name in PrunePlan.model_fields if name != "snapshots"])
def test_nothing_is_approved_under_other_terms_when_they_are(field: str) -> None:
    approved = _plan(snapshot(1))
    value = getattr(approved, field)
    now = approved.model_copy(update={field: value + ("x" if isinstance(value, str) else 1)})
    assert select_approved(approved, now) == ()
    assert describe_differences(approved, now) == [f"other {field.replace('_', ' ')}"]
    assert now.digest != approved.digest


def test_the_digest_holds_everything_that_is_approved() -> None:
    plan = _plan(snapshot(1), snapshot(2))
    others = [
        _plan(snapshot(1)),
        _plan(snapshot(1), snapshot(2), quarantine_days=8),
        _plan(snapshot(1), snapshot(2), project="dev"),
        make_prune_plan(NamedPolicy("other", POLICY.policy), PruneLimits(), [plan.snapshots]),
        make_prune_plan(NamedPolicy("default", Policy()), PruneLimits(), [plan.snapshots]),
    ]
    assert len({one.digest for one in [plan, *others]}) == len(others) + 1


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 40))
def test_the_digest_holds_nothing_that_derives_from_the_clock(first: int, second: int, begun: int) -> None:
    images = [snapshot(1), snapshot(2)]
    plans = [
        make_prune_plan(
            POLICY,
            PruneLimits(),
            [_planned(*images, now=now, since=dict.fromkeys((1, 2), now - timedelta(days=7 + begun)))],
        )
        for now in (NOW + timedelta(hours=first), NOW + timedelta(hours=second))
    ]
    assert plans[0].digest == plans[1].digest
    assert "now" not in inspect.signature(make_prune_plan).parameters


def test_a_request_is_read_as_it_was_stored() -> None:
    plan = _plan(snapshot(1, description="--> ü \ud800"), snapshot(2, image_size=None))
    request = PruneApprovalRequest(plan=plan, attempt=2, key="a-2", differences=("other policy",))
    read = PruneApprovalRequest.load(f"# Plan\n\n{request.dump()}\n")
    assert read == request
    assert read.plan.digest == plan.digest
    assert _ids(select_approved(read.plan, plan)) == [1, 2]
    assert PruneApprovalRequest.load("# Plan") is None
    assert PruneApprovalRequest.load(request.dump().replace("prune-approval", "unprotect-approval")) is None


def test_a_request_names_how_many_of_which_project_are_to_be_deleted() -> None:
    planned = _planned(snapshot(1), snapshot(2, image_size=None), snapshot(3, image_size=7.77))
    other = planned[0].model_copy(update={"project": "dev"})
    plan = make_prune_plan(POLICY, PruneLimits(), [planned, [], [other]])
    assert describe_request(plan) == (
        "Delete 4 snapshots (12.4 GB) that policy 'default' does not keep: 3 of prod, 1 of dev"
    )
    assert make_prune_plan(POLICY, PruneLimits(), []).summary == "nothing"


def test_a_policy_of_which_no_rule_prunes_is_reported() -> None:
    assert describe_nothing_to_prune(POLICY) == ""
    assert describe_nothing_to_prune(NamedPolicy("mixed", Policy(rules=[KEPT, RULE]))) == ""
    policy = NamedPolicy("kept", Policy(rules=[KEPT, Rule(name="any")]))
    assert describe_nothing_to_prune(policy) == (
        f"No rule of {policy} has `prune: true`: every snapshot is kept, and there is nothing to prune."
    )
    assert describe_nothing_to_prune(NamedPolicy()).startswith("No rule of policy 'built-in'")


def test_a_time_is_the_same_in_whatever_zone_it_was_read() -> None:
    there = NOW.astimezone(datetime.strptime("+0200", "%z").tzinfo) - timedelta(days=9)
    assert there.tzinfo != UTC
    assert _plan(snapshot(1, created=there)).digest == _plan(snapshot(1, created=there.isoformat())).digest
