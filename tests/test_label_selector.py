"""Label selectors: the documented grammar, and what it selects."""

import pytest

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.label_selector import LabelSelector

LABELS = {"env": "prod", "tier": "db", "example.com/owner": "me", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("", True),
        ("   ", True),
        ("env", True),
        ("!env", False),
        ("absent", False),
        ("!absent", True),
        ("! absent", True),
        ("env=prod", True),
        ("env==prod", True),
        (" env = prod ", True),
        ("env=test", False),
        ("env!=prod", False),
        ("env!=test", True),
        ("absent!=x", True),
        ("absent=x", False),
        ("env in (prod,test)", True),
        ("env in ( test , prod )", True),
        ("env in(prod)", True),
        ("env in (test)", False),
        ("env notin (test)", True),
        ("env notin (prod,test)", False),
        ("absent notin (x)", True),
        ("absent in (x)", False),
        ("empty", True),
        ("empty=", True),
        ("env=", False),
        ("empty in (,x)", True),
        ("env,tier", True),
        ("env=prod,!tier", False),
        ("env in (prod,test),tier=db,!absent", True),
        ("example.com/owner=me", True),
    ],
)
def test_labels_are_selected_or_not_by(selector: str, selected: bool) -> None:  # noqa: FBT001 - a table's column
    assert LabelSelector.parse(selector).matches(LABELS) is selected


@pytest.mark.parametrize(
    "selector",
    [
        ",",
        "env,",
        ",env",
        "env,,tier",
        "=prod",
        "env=prod=test",
        "env=a b",
        "env prod",
        "env in",
        "env in prod",
        "env in (prod",
        "env in prod)",
        "env in ((prod))",
        "env notin",
        "!env=prod",
        "!!env",
        "env>1",
        "-env",
        "env-",
        "/env",
        "a/b/c",
        "env=-x",
        "schlüssel",
        "env=prod;tier",
        "k" * 64,
        f"env={'v' * 64}",
        "env\x00",
    ],
)
def test_a_selector_is_refused_when_it_is(selector: str) -> None:
    with pytest.raises(InvalidArgumentError, match="has a part that is none"):
        LabelSelector.parse(selector)


@pytest.mark.parametrize("selector", ["k" * 63, f"env={'v' * 63}", f"{'p' * 253}/env"])
def test_the_longest_names_are_accepted(selector: str) -> None:
    assert len(LabelSelector.parse(selector).requirements) == 1


def test_the_part_at_fault_is_named_when_others_are_good() -> None:
    with pytest.raises(InvalidArgumentError, match="'tier>1'"):
        LabelSelector.parse("env=prod,tier>1,!absent")


def test_a_long_list_with_a_fault_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgumentError):
        LabelSelector.parse(f"env in ({',     ' * 40}!)")
