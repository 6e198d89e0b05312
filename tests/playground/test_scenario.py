"""What a visitor finds in the playground is what its text promises."""

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hetzner_cloud.models import Image
from playground.scenario import (
    ARCHIVE,
    ARCHIVE_POLICY,
    CI_RULE,
    POLICY,
    PROD,
    STAGING,
    interfere,
    make_archive,
    make_prod,
    make_staging,
)
from sandbox import Sandbox
from snapshot_protection.policy_overview import make_overview
from snapshot_protection.policy_parsing import parse_policy
from snapshot_protection.prune_outcomes import kept_outcome
from snapshot_protection.requirements import Requirements
from snapshot_protection.retention import ProjectLists, apply_retention
from snapshot_protection.unreadable import Listing

DOCS = Path(__file__).parents[2] / "docs"


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


def test_the_policy_of_the_archive_keeps_what_the_guide_says() -> None:
    now = datetime(2026, 11, 26, 10, tzinfo=UTC)
    archive = make_archive(now)
    in_use = frozenset(server["image"] for server in archive.state.servers.values())
    lists = ProjectLists(Listing(images_of(archive)), in_use)
    retention = apply_retention(lists, Requirements(ARCHIVE, ARCHIVE_POLICY), now)
    found = Counter(kept_outcome(verdict) or "quarantined" for verdict in retention.verdicts.values())
    shown = f"{found['quarantined']} quarantined, {found['in_use']} in use, {found['kept']} kept"
    guide = (DOCS / "prune.md").read_text()
    assert f"Completed: 156 snapshots: {shown}\n" in guide
    [rules] = re.findall(r"```yaml\n(# archive.yaml.+?)```", guide, re.DOTALL)
    assert parse_policy(YAML(typ="safe").load(rules)) == ARCHIVE_POLICY


@pytest.mark.parametrize(("guide", "number"), [("exclude-snapshots.md", 4), ("prune.md", 3)])
def test_each_policy_of_a_guide_governs_as_many_snapshots_of_the_playground_as_it_shows(
    guide: str, number: int
) -> None:
    prod, staging, archive = make_prod(), make_staging(), make_archive()
    interfere(prod)
    examples = re.findall(
        r"```yaml\n(.+?)```.+?^project  rule [^\n]+\n(.+?)(?:\n\n|```)",
        (DOCS / guide).read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert len(examples) == number
    for rules, table in examples:
        policy = parse_policy(YAML(typ="safe").load(rules))
        shown = {
            (project, rule): int(count)
            for project, rule, count in re.findall(r"^(\w+) +(\S.*?) {2,}(\d+) ", table, re.MULTILINE)
        }
        found = {
            (project, rule or "(no rule)"): count
            for project, sandbox in ((ARCHIVE, archive), (PROD, prod), (STAGING, staging))
            for rule, count in make_overview(policy, project, images_of(sandbox)).governed.items()
        }
        assert shown == found, rules
