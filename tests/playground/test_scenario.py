"""What a visitor finds in the playground is what its text promises."""

from hetzner_cloud.models import Image
from playground.scenario import CI_RULE, POLICY, PROD, STAGING, interfere, make_prod, make_staging
from sandbox import Sandbox


def exempt_and_unprotected(project: str, sandbox: Sandbox) -> list[str]:
    images = [Image.model_validate(image) for image in sandbox.images.values()]
    snapshots = [image for image in images if image.is_snapshot and not image.is_protected]
    return [one.description for one in snapshots if not POLICY.require(project, one).protect]


def protected(sandbox: Sandbox) -> int:
    return sum(image["protection"]["delete"] for image in sandbox.images.values())


def test_the_policy_exempts_exactly_the_snapshot_of_a_ci_server() -> None:
    assert exempt_and_unprotected(PROD, make_prod()) == ["shop ci-1 build 4711"]
    assert not exempt_and_unprotected(STAGING, make_staging())
    assert [rule.name for rule in POLICY.rules] == [CI_RULE]


def test_an_audit_has_findings_when_another_user_has_interfered() -> None:
    prod = make_prod()
    images, before = len(prod.images), protected(prod)
    interfere(prod)
    assert len(prod.images) == images  # one deleted, one created
    assert protected(prod) == before - 2  # one deleted, one unprotected
