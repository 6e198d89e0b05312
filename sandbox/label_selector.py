"""Label selectors as the API's documentation describes them: parsing, and matching labels.

Written from that documentation alone, so that a mistake in a client's selector is not repeated here.

* `k==v`, `k=v`, `k!=v`: the value equals `v`, or it doesn't; an absent key has no value, so `!=` holds
* `k`, `!k`: the key is present, or it isn't
* `k in (v1,v2)`, `k notin (v1,v2)`: the value is one of these, or none of them
* several of these joined by commas: all of them hold

Keys and values are those of labels. Whitespace is not documented: spaces, tabs and line breaks may separate
tokens.

https://docs.hetzner.cloud/reference/cloud#description/label-selector
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sandbox.labels import is_key, is_value

Operator = Literal["exists", "!", "in", "notin"]

_TOKENS = re.compile(r"==|!=|[=!,()]|[^=!,() \t\r\n]+")
_PUNCTUATION = frozenset({"==", "!=", "=", "!", ",", "(", ")"})


class SelectorSyntaxError(ValueError):
    """A string is not a label selector."""


@dataclass(frozen=True)
class Requirement:
    """What one part of a selector requires of a key; `=` and `!=` are `in` and `notin` with one value."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "exists":
                return self.key in labels
            case "!":
                return self.key not in labels
            case "in":
                return labels.get(self.key) in self.values
            case "notin":
                return labels.get(self.key) not in self.values


@dataclass(frozen=True)
class LabelSelector:
    """A parsed selector; one without requirements matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.is_met_by(labels) for requirement in self.requirements)


def parse_label_selector(selector: str) -> LabelSelector:
    """Parse a selector; an empty one has no requirements.

    Raises:
        SelectorSyntaxError: The string is not a selector.
    """
    tokens = _Tokens(selector)
    if not tokens.next:
        return LabelSelector()
    requirements = [_requirement(tokens)]
    while tokens.next:
        tokens.expect(",")
        requirements.append(_requirement(tokens))
    return LabelSelector(tuple(requirements))


class _Tokens:
    """The tokens that are still to be parsed."""

    def __init__(self, selector: str) -> None:
        self._tokens: deque[str] = deque(_TOKENS.findall(selector))

    @property
    def next(self) -> str:
        """The next token, empty at the end."""
        return self._tokens[0] if self._tokens else ""

    def accept(self, *wanted: str) -> str:
        """Take the next token if it is one of these, else return an empty string."""
        return self._tokens.popleft() if self.next in wanted else ""

    def expect(self, *wanted: str) -> str:
        """Take the next token, which must be one of these."""
        if self.next not in wanted:
            raise SelectorSyntaxError(f"{self.next!r} instead of {' or '.join(map(repr, wanted))}")
        return self._tokens.popleft()

    def accept_word(self) -> str:
        """Take the next token if it is a word, else return an empty string."""
        return "" if not self.next or self.next in _PUNCTUATION else self._tokens.popleft()


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.accept("!"):
        return Requirement(_key(tokens), "!")
    key = _key(tokens)
    if operator := tokens.accept("=", "==", "!="):
        return Requirement(key, "notin" if operator == "!=" else "in", (_value(tokens),))
    if tokens.accept("in"):
        return Requirement(key, "in", _values(tokens))
    if tokens.accept("notin"):
        return Requirement(key, "notin", _values(tokens))
    return Requirement(key, "exists")


def _values(tokens: _Tokens) -> tuple[str, ...]:
    tokens.expect("(")
    values = [_value(tokens)]
    while tokens.expect(",", ")") == ",":
        values.append(_value(tokens))
    return tuple(values)


def _value(tokens: _Tokens) -> str:
    value = tokens.accept_word()
    if not is_value(value):
        raise SelectorSyntaxError(f"{value!r} is not a label's value")
    return value


def _key(tokens: _Tokens) -> str:
    key = tokens.accept_word()
    if not is_key(key):
        raise SelectorSyntaxError(f"{key!r} is not a label's key")
    return key
