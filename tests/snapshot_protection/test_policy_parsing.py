"""From data to a policy, and what is said of data that is none."""

from typing import Any

import pytest

from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection.policy import Keep, Policy, Rule
from snapshot_protection.policy_parsing import parse_policy


def test_data_becomes_a_policy_with_the_defaults_of_what_it_omits() -> None:
    content = {
        "rules": [{"name": "nightly", "server": "web-*", "prune": True, "keep": {"daily": 14}}],
        "timezone": "Europe/Berlin",
    }
    rule = Rule(name="nightly", server="web-*", prune=True, keep=Keep(daily=14))
    assert parse_policy(content) == Policy(rules=[rule], timezone="Europe/Berlin")
    assert parse_policy({}) == Policy()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "A policy is a mapping with the keys `rules` and `timezone`"),
        ([{"name": "a"}], "A policy is a mapping with the keys `rules` and `timezone`"),
        ({"rule": []}, "rule: there is no such field"),
        ({"rules": {"a": {}}}, "rules: Input should be a valid list"),
        ({"rules": [{"name": "a", "serve": "b"}]}, "rule 'a': serve: there is no such field"),
        ({"rules": [{"name": "a"}, {"protect": False}]}, "rule number 2: name: is missing"),
        ({"rules": [{"name": " a"}]}, "rule ' a': name: a rule needs a name of visible characters"),
        ({"rules": [{"name": ""}]}, "rule '': name: a rule needs a name of visible characters"),
        ({"rules": [{"name": "a\nb"}]}, "rule 'a\\nb': name: a rule needs a name of visible characters"),
        ({"rules": [{"name": "a", "protect": "no"}]}, "rule 'a': protect: Input should be a valid boolean"),
        ({"rules": [{"name": "a", "prune": 1}]}, "rule 'a': prune: Input should be a valid boolean"),
        (
            {"rules": [{"name": "a", "server": "web-[1"}]},
            "rule 'a': server: the glob 'web-[1' has a [ without",
        ),
        (
            {"rules": [{"name": "a", "description": "b "}]},
            "rule 'a': description: the glob 'b ' has whitespace",
        ),
        ({"rules": [{"name": "a", "projects": [""]}]}, "rule 'a': projects: 0: a project's glob is empty"),
        ({"rules": [{"name": "a", "label_selector": "=b"}]}, "rule 'a': label_selector: The label selector"),
        (
            {"rules": [{"name": "a", "keep": {"last": 0}}]},
            "rule 'a': keep: last: Input should be greater than",
        ),
        ({"rules": [{"name": "a", "keep": {"daily": -1}}]}, "rule 'a': keep: daily: Input should be greater"),
        (
            {"rules": [{"name": "a", "keep": {"daily": True}}]},
            "rule 'a': keep: daily: Input should be a valid",
        ),
        ({"rules": [{"name": "a", "keep": {"within_days": "nan"}}]}, "rule 'a': keep: within_days: "),
        ({"rules": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}, "rules: more than one rule is named 'a'"),
        ({"timezone": "Europe/Berln"}, "timezone: there is no time zone 'Europe/Berln'"),
        ({"timezone": ""}, "timezone: there is no time zone ''"),
        ({"timezone": "../../etc/passwd"}, "timezone: there is no time zone '../../etc/passwd'"),
    ],
)
def test_an_invalid_policy_is_rejected_with_its_rule_and_field(content: object, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_policy(content)
    assert text in str(caught.value)
    assert caught.value.__cause__ is None


def test_of_many_errors_the_first_five_are_shown() -> None:
    rules: list[dict[str, Any]] = [{"name": f"rule-{number}", "serve": "a"} for number in range(8)]
    with pytest.raises(InvalidArgumentError, match="; and 3 more") as caught:
        parse_policy({"rules": rules})
    assert "rule-5" not in str(caught.value)
