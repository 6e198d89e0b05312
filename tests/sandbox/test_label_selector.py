"""Label selectors of the sandbox: the documented grammar, and the same result as the client's parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.label_selector import LabelSelector
from sandbox.label_selector import SelectorSyntaxError, parse_label_selector

LABELS = {"environment": "production", "example.com/my": "label", "just-a-key": ""}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        (" \t\r\n", True),
        # the expressions of the documentation's table
        ("environment==production", True),
        ("environment==staging", False),
        ("environment=production", True),
        ("environment=staging", False),
        ("environment!=staging", True),
        ("environment!=production", False),
        ("environment", True),
        ("type", False),
        ("!environment", False),
        ("!type", True),
        ("environment in (staging,production,testing)", True),
        ("environment in (staging,testing)", False),
        ("environment notin (staging,testing)", True),
        ("environment notin (staging,production)", False),
        ("environment==production,!type", True),
        ("environment==production,!just-a-key", False),
        # "that don't have a `type=database` label": an absent key satisfies != and notin
        ("environment=production,type!=database", True),
        ("type notin (database)", True),
        ("type==database", False),
        ("type in (database)", False),
        # empty values
        ("just-a-key=", True),
        ("just-a-key!=", False),
        ("environment=", False),
        ("type=", False),
        ("just-a-key in ()", True),
        ("just-a-key in (,x)", True),
        ("environment notin (,x)", True),
        ("type in ()", False),
        # prefixes, commas within parentheses, whitespace, keys that are words of the grammar
        ("example.com/my=label", True),
        ("my=label", False),
        ("environment in (production,staging),example.com/my in (label)", True),
        ("environment in (production,staging),example.com/my notin (label)", False),
        ("  environment = production , ! type ", True),
        ("environment\tin( staging ,production )", True),
        ("!in,!notin,in!=notin", True),
        ("in in (in)", False),
    ],
)
def test_labels_match_when_they_meet_every_requirement(selector: str, *, matches: bool) -> None:
    assert parse_label_selector(selector).matches(LABELS) is matches


@pytest.mark.parametrize(
    "selector",
    ["n" * 63, "k=" + "v" * 63, ".".join(["p" * 63, "q" * 63, "r" * 63, "s" * 61]) + "/n", "a.B-c_9", "1=2"],
    ids=lambda selector: selector[:8],
)
def test_a_selector_is_accepted_up_to_the_documented_lengths(selector: str) -> None:
    assert len(parse_label_selector(selector).requirements) == 1


@pytest.mark.parametrize(
    "selector",
    [
        *(",", "k,", ",k", "k,,l", "=v", "==v", "!", "!!k", "! =v", "k!", "k! =v", "!k=v", "!k in (v)"),
        *("k=v=w", "k===v", "k= =v", "k=v w", "k l", "k=v!", "k<5", "k&page=2", "*"),
        *("k in", "k in v", "k in (", "k in (v", "k in v)", "k in ((v))", "k in (v w)", "k in (v;w)"),
        *("k in (v) l", "k in ()l", "k within (v)", "k IN (v)", "k not in (v)", "in (v)", "notin (v)"),
        *("(k)", ")", "k in (l=v)", "k in (!v)", "kin (v)"),
        *("-k", "k-", "k=-v", "k=v.", "k=a/b", "/k", "k/", "a/b/c", "a_b/k", "ümlaut", "k=é", "k=v\x00"),
        *("n" * 64, "k=" + "v" * 64, "k in (" + "v" * 64 + ")", ".".join(["p" * 63] * 4) + "/n"),
    ],
    ids=lambda selector: selector[:12],
)
def test_a_selector_is_rejected_when_it_is_not_in_the_grammar(selector: str) -> None:
    with pytest.raises(SelectorSyntaxError):
        parse_label_selector(selector)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("env=prod, a b ,!tmp", "'b' instead of ','"),
        ("k in (v", "'' instead of ',' or ')'"),
        ("k=-v", "'-v' is not a label's value"),
        ("k,", "'' is not a label's key"),
    ],
)
def test_the_error_names_what_is_wrong(selector: str, message: str) -> None:
    with pytest.raises(SelectorSyntaxError) as caught:
        parse_label_selector(selector)
    assert str(caught.value) == message


PIECES = [
    "k",
    "l",
    "in",
    "notin",
    "k/l",
    "a.b/k",
    "v-1",
    "=",
    "==",
    "!=",
    "!",
    ",",
    "(",
    ")",
    " ",
    "\t",
    "-",
    "é",
]
LABEL_SETS = st.dictionaries(
    st.sampled_from(["k", "l", "in", "k/l", "a.b/k"]), st.sampled_from(["", "k", "v-1", "in"]), max_size=3
)


@st.composite
def selectors(draw: st.DrawFn) -> str:
    """Selectors of the grammar, with whitespace where it may be."""
    space = st.sampled_from(["", " ", "\t \n"])
    value = st.sampled_from(["", "k", "v-1", "in", "w" * 63])

    def requirement() -> str:
        key = draw(st.sampled_from(["k", "l", "in", "notin", "k/l", "a.b/k", "n" * 63]))
        operator = draw(st.sampled_from(["", "!", "=", "==", "!=", "in", "notin"]))
        before, after = draw(space), draw(space)
        if operator in {"", "!"}:
            return f"{operator}{before}{key}{after}"
        if operator in {"in", "notin"}:
            values = ",".join(draw(space) + draw(value) + draw(space) for _ in range(draw(st.integers(1, 3))))
            return f"{key} {before}{operator}{after}({values})"
        return f"{key}{before}{operator}{after}{draw(value)}"

    return ",".join(draw(space) + requirement() for _ in range(draw(st.integers(1, 3))))


def verdict_of_the_client(selector: str, labels: dict[str, str]) -> bool | None:
    try:
        return LabelSelector.parse(selector).matches(labels)
    except InvalidArgumentError:
        return None


def verdict_of_the_sandbox(selector: str, labels: dict[str, str]) -> bool | None:
    try:
        return parse_label_selector(selector).matches(labels)
    except SelectorSyntaxError:
        return None


@given(selector=selectors(), labels=LABEL_SETS)
def test_client_and_sandbox_agree_when_the_selector_is_valid(selector: str, labels: dict[str, str]) -> None:
    verdict = verdict_of_the_sandbox(selector, labels)
    assert verdict is not None
    assert verdict_of_the_client(selector, labels) is verdict


@given(selector=st.lists(st.sampled_from(PIECES), max_size=12).map("".join), labels=LABEL_SETS)
def test_client_and_sandbox_agree_when_the_selector_is_any_string(
    selector: str, labels: dict[str, str]
) -> None:
    assert verdict_of_the_client(selector, labels) is verdict_of_the_sandbox(selector, labels)


@pytest.mark.parametrize(
    "selector",
    ["a..b/k", "a.-b/k", "a-.b/k", "p" * 64 + "/k", "k\N{NO-BREAK SPACE}=v", "\N{NO-BREAK SPACE}", "k\f"],
    ids=ascii,
)
def test_client_and_sandbox_agree_when_a_prefix_is_no_dns_subdomain_or_whitespace_is_not_ascii(
    selector: str,
) -> None:
    assert verdict_of_the_client(selector, {}) is verdict_of_the_sandbox(selector, {})
