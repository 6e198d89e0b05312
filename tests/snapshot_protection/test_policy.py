"""The policy: which rule governs a snapshot, and that nothing matches by accident."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.models import Image
from snapshot_protection.policy import NamedPolicy, Policy, Rule
from tests.support.api_json import image_json

SCRATCH = Rule(name="scratch", projects=["dev-*"], label_selector="purpose=scratch", protect=False)
CI = Rule(name="ci", server="ci-runner-?", protect=False)
NIGHTLY = Rule(name="nightly", description="nightly [0-9]*", prune=True)
POLICY = Policy(rules=[SCRATCH, CI, NIGHTLY])

# Characters that mean something to globs, selectors, regular expressions or a terminal, and common ones.
_HOSTILE = st.text(st.sampled_from("ab-1 *?[]!^$.\\\n\r\x00\u202eé=,()/"), max_size=8)
_LABEL = st.text(st.sampled_from("ab1"), min_size=1, max_size=2)


def _snapshot(image_id: int = 1, **fields: Any) -> Image:
    return Image.model_validate(image_json(image_id, **fields))


def _created_from(name: str | None) -> dict[str, Any]:
    return {"created_from": None if name is None else {"id": 1, "name": name}}


@pytest.mark.parametrize(
    ("project", "fields", "rule"),
    [
        ("dev-web", {"labels": {"purpose": "scratch"}}, "scratch"),
        ("dev-web", {"labels": {"purpose": "Scratch"}}, None),
        ("dev-web", {"labels": {}}, None),
        ("prod-dev-web", {"labels": {"purpose": "scratch"}}, None),
        ("prod", _created_from("ci-runner-7"), "ci"),
        ("prod", _created_from("ci-runner-17"), None),
        ("prod", _created_from("CI-runner-7"), None),
        ("prod", _created_from(None), None),
        ("prod", {"description": "nightly 2026-11-25"}, "nightly"),
        ("prod", {"description": "my nightly 2026-11-25"}, None),
        ("dev-web", _created_from("ci-runner-7") | {"labels": {"purpose": "scratch"}}, "scratch"),
    ],
)
def test_the_first_rule_that_matches_governs_a_snapshot(
    project: str, fields: dict[str, Any], rule: str | None
) -> None:
    requirement = POLICY.require(project, _snapshot(**fields))
    assert (requirement.rule.name if requirement.rule else None) == rule
    assert requirement.protect is (rule not in {"scratch", "ci"})
    assert requirement.reason == (f"rule '{rule}'" if rule else "no rule matches")


def test_without_rules_every_snapshot_must_be_protected_and_is_kept() -> None:
    requirement = NamedPolicy().policy.require("prod", _snapshot())
    assert requirement.protect
    assert requirement.rule is None


def test_a_glob_of_any_server_does_not_match_a_snapshot_whose_server_is_unknown() -> None:
    rule = Rule(name="any server", server="*", protect=False)
    assert rule.matches("prod", _snapshot(**_created_from("web")))
    for unknown in (None, ""):
        assert not rule.matches("prod", _snapshot(**_created_from(unknown)))


_UNREADABLE: tuple[object, ...] = (None, True, 1, ["prod"], {})
UNREADABLE_LABELS: list[object] = [
    None,
    [],
    "env=dev",
    {"env": "dev", "owner": 1},
    *({"env": one} for one in _UNREADABLE),
]


@pytest.mark.parametrize("labels", UNREADABLE_LABELS, ids=repr)
@pytest.mark.parametrize("selector", ["env!=prod", "!owner", "env notin (prod)", "env=dev", "env", "owner"])
def test_a_selector_does_not_match_a_snapshot_with_an_unreadable_label(selector: str, labels: object) -> None:
    rule = Rule(name="not prod", label_selector=selector, protect=False)
    assert not rule.matches("prod", _snapshot(labels=labels))
    requirement = Policy(rules=[rule]).require("prod", _snapshot(labels=labels))
    assert (requirement.protect, requirement.reason) == (True, "its labels could not be read")


def test_a_selector_of_what_is_absent_matches_a_snapshot_without_labels() -> None:
    rule = Rule(name="not prod", label_selector="env!=prod,!owner", protect=False)
    assert rule.matches("prod", _snapshot(labels={}))
    assert rule.matches("prod", _snapshot(labels={"env": "dev"}))
    without = {name: value for name, value in image_json(1).items() if name != "labels"}
    assert not rule.matches("prod", Image.model_validate(without))


@pytest.mark.parametrize("labels", UNREADABLE_LABELS, ids=repr)
def test_unreadable_labels_pass_by_no_rule_that_they_may_match(labels: object) -> None:
    keep = Rule(name="keep", projects=["lab"], label_selector="keep")
    exempt = Rule(name="lab", projects=["lab", "other"], protect=False)
    policy = Policy(rules=[keep, exempt])
    assert policy.require("lab", _snapshot(labels=labels)).protect
    assert not policy.require("lab", _snapshot(labels={})).protect
    assert policy.require("other", _snapshot(labels=labels)).rule == exempt  # whatever its labels are


@pytest.mark.parametrize(
    ("keep", "fields", "what"),
    [
        ({"description": "golden *"}, {"description": ["golden image"]}, "description"),
        ({"description": "golden *"}, {"description": 7}, "description"),
        ({"server": "db-*"}, {"created_from": "db-1"}, "server"),
        ({"server": "db-*"}, {"created_from": {"id": 1}}, "server"),
        ({"server": "db-*"}, {"created_from": {"id": 1, "name": None}}, "server"),
    ],
    ids=repr,
)
def test_what_cannot_be_read_passes_by_no_rule_that_it_may_match(
    keep: dict[str, str], fields: dict[str, Any], what: str
) -> None:
    exempt = Rule(name="rest", protect=False)
    policy = Policy(rules=[Rule(name="keep", projects=["lab"], **keep), exempt])
    requirement = policy.require("lab", _snapshot(**fields))
    assert (requirement.protect, requirement.reason) == (True, f"its {what} could not be read")
    assert policy.require("other", _snapshot(**fields)).rule == exempt  # whatever it is
    assert policy.require("lab", _snapshot(description="", created_from=None)).rule == exempt


@given(_HOSTILE, _HOSTILE, _HOSTILE)
def test_a_glob_matches_what_the_same_regular_expression_matches(glob: str, text: str, other: str) -> None:
    if glob != glob.strip() or not glob or "[" in glob or "]" in glob:
        return
    expected = re.compile("".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in glob), re.DOTALL)
    for candidate in (text, glob.replace("*", other).replace("?", "a")):
        matched = Rule(name="a", description=glob).matches("prod", _snapshot(description=candidate))
        assert matched is bool(expected.fullmatch(candidate))


@given(_HOSTILE, _HOSTILE, st.dictionaries(_HOSTILE, _HOSTILE, max_size=3))
def test_hostile_names_and_labels_match_no_rule_by_accident(
    description: str, server: str, labels: dict[str, str]
) -> None:
    rules = [
        Rule(name="project", projects=["dev"], protect=False),
        Rule(name="server", server="web-1", protect=False),
        Rule(name="description", description="scratch copy", protect=False),
        Rule(name="label", label_selector="team=qa", protect=False),
    ]
    snapshot = _snapshot(description=description, labels=labels, **_created_from(server))
    assert Policy(rules=rules).require("prod", snapshot).rule is None


_RULES = st.lists(
    st.builds(
        Rule,
        name=_LABEL,
        projects=st.lists(st.sampled_from(["a*", "b", "?"]), max_size=2),
        server=st.sampled_from(["", "*", "a*", "?1"]),
        description=st.sampled_from(["", "*b*", "a"]),
        label_selector=st.sampled_from(["", "a", "!a", "a=b", "a!=b"]),
        protect=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda rule: rule.name,
)
_SNAPSHOTS = st.lists(
    st.fixed_dictionaries(
        {
            "description": st.sampled_from(["", "a", "ab", "cb"]),
            "labels": st.dictionaries(_LABEL, _LABEL, max_size=2),
            "created_from": st.sampled_from([None, {"id": 1, "name": "a1"}, {"id": 2, "name": "b"}]),
        }
    ),
    max_size=6,
)


@given(_RULES, _SNAPSHOTS, st.sampled_from(["a", "ab", "b", "c"]), st.randoms())
def test_each_snapshot_has_one_requirement_in_whatever_order_they_are_listed(
    rules: list[Rule], fields: list[dict[str, Any]], project: str, random: Any
) -> None:
    policy = Policy(rules=rules)
    snapshots = [_snapshot(image_id, **one) for image_id, one in enumerate(fields, 1)]
    required = {snapshot.id: policy.require(project, snapshot) for snapshot in snapshots}
    random.shuffle(snapshots)
    assert {snapshot.id: policy.require(project, snapshot) for snapshot in snapshots} == required
    for snapshot in snapshots:
        matching = [rule for rule in rules if rule.matches(project, snapshot)]
        assert required[snapshot.id].rule == (matching[0] if matching else None)
        assert required[snapshot.id].protect or matching


def test_policies_that_say_the_same_have_the_same_digest() -> None:
    assert Policy(rules=[CI]).digest == Policy(rules=[CI.model_copy()], timezone="UTC").digest
    others = [
        Policy(),
        Policy(rules=[SCRATCH]),
        Policy(rules=[CI], timezone="Europe/Berlin"),
        Policy(rules=[CI, SCRATCH]),
        Policy(rules=[SCRATCH, CI]),
    ]
    assert len({policy.digest for policy in [Policy(rules=[CI]), *others]}) == len(others) + 1


def test_a_policy_is_named_with_the_beginning_of_its_digest() -> None:
    assert str(NamedPolicy("default", POLICY)) == f"policy 'default' ({POLICY.digest[:12]})"
    assert str(NamedPolicy()).startswith("policy 'built-in' (")
