"""What a run that removes protection plans, and what changes between two plans."""

from typing import Any

import pytest

from hetzner_cloud.models import Image
from snapshot_protection.unprotect_plan import (
    ApprovalRequest,
    PlannedChange,
    UnprotectPlan,
    describe_differences,
    describe_request,
    list_rejections,
    make_plan,
)
from tests.support.api_json import image_json

REASON = "moved to the new cluster"


def _image(image_id: int, **fields: Any) -> Image:
    return Image.model_validate(image_json(image_id, **{"protection": {"delete": True}, **fields}))


def _plan(*images: Image, ids: tuple[int, ...] = (1, 2, 3), hours: float = 24) -> UnprotectPlan:
    return make_plan("prod", ids, {image.id: image for image in images}, reason=REASON, hours=hours)


@pytest.mark.parametrize(
    ("image", "change", "note"),
    [
        (_image(1), "unprotect", ""),
        (_image(1, protection={"delete": False}), "already_unprotected", ""),
        (_image(1, deleted="2026-11-25T00:00:00Z"), "deleted", ""),
        (_image(1, type="backup"), "rejected", "is not a snapshot, but of the type backup"),
        (_image(1, type="system"), "rejected", "is not a snapshot, but of the type system"),
        (_image(1, status="creating"), "rejected", "is still being created; run again when it is available"),
        (_image(2), "deleted", ""),
    ],
)
def test_each_id_has_one_planned_change(image: Image, change: PlannedChange, note: str) -> None:
    [planned] = _plan(image, ids=(1,)).snapshots
    assert (planned.image_id, planned.change, planned.note) == (1, change, note)
    assert planned.is_exempted is (change in {"unprotect", "already_unprotected"})


def test_the_ids_are_planned_once_each_in_their_order() -> None:
    plan = _plan(_image(1), _image(2), ids=(2, 1, 2, 3))
    assert [one.image_id for one in plan.snapshots] == [2, 1, 3]
    assert plan.summary == "2 unprotect, 1 deleted"
    assert (
        describe_request(plan)
        == "Remove protection from 3 snapshots of prod for 24 hours: 2 unprotect, 1 deleted"
    )


def test_the_digest_changes_with_everything_that_is_approved() -> None:
    plan = _plan(_image(1))
    assert plan.digest == _plan(_image(1)).digest
    others = [
        _plan(_image(1), hours=25),
        plan.model_copy(update={"project": "dev"}),
        plan.model_copy(update={"reason": REASON + "!"}),
        _plan(_image(1, protection={"delete": False})),
        _plan(_image(1, description="another")),
        _plan(_image(1), ids=(1, 2)),
        _plan(_image(1), ids=(3, 2, 1)),
    ]
    assert len({one.digest for one in [plan, *others]}) == len(others) + 1


def test_the_differences_of_two_plans_name_each_snapshot_that_changed() -> None:
    before = _plan(_image(1), _image(2), _image(3))
    now = _plan(_image(1, protection={"delete": False}), _image(2, description="another"), _image(3))
    assert describe_differences(before, now) == [
        "snapshot 1: unprotect → already unprotected",
        "snapshot 2: other description",
    ]
    assert describe_differences(before, _plan(_image(1), _image(2))) == ["snapshot 3: unprotect → deleted"]
    assert not describe_differences(before, before)


def test_two_plans_that_differ_have_a_difference() -> None:
    """Prefect's API changes the parameters of a run that waits, too."""
    before = _plan(_image(1), _image(2), ids=(1, 2))
    changed = {
        "hours: 24 → 168": _plan(_image(1), _image(2), ids=(1, 2), hours=168),
        "hours: 24 → 24.0000001": _plan(_image(1), _image(2), ids=(1, 2), hours=24.0000001),
        f"reason: '{REASON}' → 'another reason'": before.model_copy(update={"reason": "another reason"}),
        "project: prod → my-prod": before.model_copy(update={"project": "my-prod"}),
        "snapshot 3: added, deleted": _plan(_image(1), _image(2), ids=(1, 2, 3)),
        "snapshot 2: removed from the plan": _plan(_image(1), _image(2), ids=(1,)),
        "the snapshots are in another order": _plan(_image(1), _image(2), ids=(2, 1)),
    }
    for difference, now in changed.items():
        assert describe_differences(before, now) == [difference]


def test_what_is_rejected_is_described_with_its_reason() -> None:
    plan = _plan(_image(1, type="backup"), _image(2), _image(3, status="creating"))
    assert list_rejections(plan.rejected) == (
        "image 1 is not a snapshot, but of the type backup; "
        "image 3 is still being created; run again when it is available"
    )
    assert [one.image_id for one in plan.exempted] == [2]


def test_a_request_is_read_as_it_was_stored() -> None:
    request = ApprovalRequest(plan=_plan(_image(1), _image(2, description="--> ü")), attempt=2, key="a-2")
    assert ApprovalRequest.load(f"# Plan\n\n{request.dump()}\n") == request
    assert ApprovalRequest.load("# Plan") is None
