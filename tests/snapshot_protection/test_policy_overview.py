"""What a policy means for the snapshots that exist."""

from typing import Any

from hetzner_cloud.models import Image
from snapshot_protection.policy import Policy, Rule
from snapshot_protection.policy_overview import ExemptSnapshot, ProjectOverview, make_overview, unused_rules
from tests.support.api_json import image_json

CI = Rule(name="ci", server="ci-*", protect=False)
NIGHTLY = Rule(name="nightly", description="nightly*", prune=True)
POLICY = Policy(rules=[CI, NIGHTLY])


def _image(image_id: int, server: str = "web", **fields: Any) -> Image:
    return Image.model_validate(image_json(image_id, created_from={"id": 1, "name": server}, **fields))


def test_only_snapshots_are_counted_and_those_of_no_rule_apart() -> None:
    images = [
        _image(1, "ci-7", protection={"delete": True}),
        _image(2, description="nightly"),
        _image(3),
        _image(4),
        _image(5, type="backup"),
    ]
    overview = make_overview(POLICY, "prod", images)
    assert overview.governed == {"ci": 1, "nightly": 1, "": 2}
    assert overview.exempt == [ExemptSnapshot(1, "ci", protected=True, description="before the upgrade")]


def test_a_rule_that_governs_nothing_is_named() -> None:
    projects = [
        make_overview(POLICY, "prod", [_image(1, "ci-7")]),
        ProjectOverview("dev", error="unreadable"),
    ]
    assert unused_rules(POLICY, projects) == ["nightly"]
