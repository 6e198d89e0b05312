"""Label selectors: what the API filters by, checked before a request is sent.

The grammar: requirements joined by commas, all of which must hold: ``key``, ``!key``, ``key=value``,
``key==value``, ``key!=value``, ``key in (a,b)``, ``key notin (a,b)``.

https://docs.hetzner.cloud/reference/cloud#description/label-selector
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.sanitize import printable_repr

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_DNS_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PREFIX = rf"(?=[^/]{{1,253}}/){_DNS_LABEL}(?:\.{_DNS_LABEL})*/"
_KEY = rf"(?:{_PREFIX})?{_NAME}"
_VALUE = rf"(?:{_NAME})?"

BLANKS = " \t\r\n"
_MAX_LENGTH = 4_000  # servers and proxies accept addresses of about 8,000, and it is percent-encoded there
_ABSENT = re.compile(rf"![ \t\r\n]*(?P<key>{_KEY})")
_PRESENT = re.compile(rf"(?P<key>{_KEY})")
_COMPARED = re.compile(rf"(?P<key>{_KEY})[ \t\r\n]*(?P<operator>==|=|!=)[ \t\r\n]*(?P<value>{_VALUE})")
_ONE_VALUE = re.compile(_VALUE)
_LISTED = re.compile(rf"(?P<key>{_KEY})[ \t\r\n]+(?P<operator>in|notin)[ \t\r\n]*\((?P<values>[^()]*)\)")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True)
class Requirement:
    """One requirement: the key's value is among `values`, or (negated) it is not; None is any value."""

    key: str
    values: frozenset[str] | None
    negated: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        found = self.key in labels and (self.values is None or labels[self.key] in self.values)
        return found is not self.negated


@dataclass(frozen=True)
class LabelSelector:
    """A parsed label selector; the empty one selects everything."""

    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a selector.

        Raises:
            InvalidArgumentError: The text is no label selector; the message names the invalid part.
        """
        if len(text) > _MAX_LENGTH:
            raise InvalidArgumentError(f"The label selector is longer than {_MAX_LENGTH:,} characters.")
        if not text.strip(BLANKS):
            return cls(())
        return cls(tuple(_requirement(part.strip(BLANKS)) for part in _COMMA_OUTSIDE_PARENTHESES.split(text)))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels fulfil every requirement."""
        return all(requirement.holds(labels) for requirement in self.requirements)


def _requirement(part: str) -> Requirement:
    if match := _COMPARED.fullmatch(part):
        return Requirement(match["key"], frozenset({match["value"]}), negated=match["operator"] == "!=")
    if match := _LISTED.fullmatch(part):
        values = frozenset(value.strip(BLANKS) for value in match["values"].split(","))
        if all(map(_ONE_VALUE.fullmatch, values)):
            return Requirement(match["key"], values, negated=match["operator"] == "notin")
    if match := _ABSENT.fullmatch(part):
        return Requirement(match["key"], None, negated=True)
    if match := _PRESENT.fullmatch(part):
        return Requirement(match["key"], None, negated=False)
    raise InvalidArgumentError(
        f"The label selector has a part that is not valid: {printable_repr(part)}. "
        "Write key, !key, key=value, key!=value, key in (a,b) or key notin (a,b), joined by commas."
    )
