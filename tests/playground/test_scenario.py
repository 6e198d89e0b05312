"""What a visitor finds in the playground is what its text promises."""

import re
from pathlib import Path

from ruamel.yaml import YAML

from hetzner_cloud.models import Image
from playground.scenario import CI_RULE, POLICY, PROD, STAGING, interfere, make_prod, make_staging
from sandbox import Sandbox
from snapshot_protection.policy_overview import make_overview
from snapshot_protection.policy_parsing import parse_policy

GUIDE = Path(__file__).parents[2] / "docs/exclude-snapshots.md"


def images_of(sandbox: Sandbox) -> list[Image]:
    return [Image.model_validate(image) for image in sandbox.images.values()]


def exempt_and_unprotected(project: str, sandbox: Sandbox) -> list[str]:
    snapshots = [image for image in images_of(sandbox) if image.is_snapshot and not image.is_protected]
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


def test_each_policy_of_the_guide_governs_as_many_snapshots_of_the_playground_as_it_shows() -> None:
    prod, staging = make_prod(), make_staging()
    interfere(prod)
    examples = re.findall(
        r"```yaml\n(.+?)```.+?^project  rule [^\n]+\n(.+?)(?:\n\n|```)",
        GUIDE.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert len(examples) == 4
    for rules, table in examples:
        policy = parse_policy(YAML(typ="safe").load(rules))
        shown = {
            (project, rule): int(count)
            for project, rule, count in re.findall(r"^(\w+) +(\S.*?) {2,}(\d+) ", table, re.MULTILINE)
        }
        found = {
            (project, rule or "(no rule)"): count
            for project, sandbox in ((PROD, prod), (STAGING, staging))
            for rule, count in make_overview(policy, project, images_of(sandbox)).governed.items()
        }
        assert shown == found, rules
