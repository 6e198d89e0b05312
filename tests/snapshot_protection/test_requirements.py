"""What a run requires of a snapshot: the policy's rule, or an approved exemption."""

from datetime import UTC, datetime
from uuid import UUID

from hetzner_cloud.models import Image
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import Policy, Rule
from snapshot_protection.requirements import Requirements
from tests.support.api_json import image_json

POLICY = Policy(rules=[Rule(name="scratch", projects=["dev"], protect=False), Rule(name="all")])
EXEMPTION = Exemption(
    image_id=1,
    until=datetime(2026, 11, 27, 4, tzinfo=UTC),
    reason="moved to the new cluster",
    approved_by="on call",
    flow_run_id=UUID(int=1),
)


def _image(image_id: int) -> Image:
    return Image.model_validate(image_json(image_id))


def test_a_snapshot_is_exempt_by_a_rule_that_says_so() -> None:
    assert Requirements("dev", POLICY).exempted_by(_image(1)) == "rule 'scratch'"
    assert Requirements("prod", POLICY).exempted_by(_image(1)) == ""


def test_a_snapshot_with_an_approved_exemption_is_exempt_whatever_the_policy_says() -> None:
    for project in ("dev", "prod"):
        requirements = Requirements(project, POLICY, {1: EXEMPTION})
        assert requirements.exempted_by(_image(1)) == (
            "approved until 2026-11-27 04:00 UTC: moved to the new cluster, approved by on call (as stated)"
        )
    assert Requirements("prod", POLICY, {1: EXEMPTION}).exempted_by(_image(2)) == ""


def test_the_rule_that_governs_is_named_only_if_there_are_rules() -> None:
    rules = Policy(rules=[Rule(name="scratch", projects=["dev"])])
    assert Requirements("dev", rules).governed_by(_image(1)) == "scratch"
    assert Requirements("prod", rules).governed_by(_image(1)) == ""
    assert Requirements("prod").governed_by(_image(1)) is None


def test_without_a_policy_and_exemptions_nothing_is_exempt() -> None:
    assert Requirements("prod").exempted_by(_image(1)) == ""
