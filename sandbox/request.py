"""One request as the operations read it, and the validation of its parameters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from sandbox import api_errors
from sandbox.label_selector import LabelSelector, SelectorSyntaxError, parse_label_selector
from sandbox.settings import MAX_NUMBER

MAX_PER_PAGE = 50
MAX_IDS = 25  # further ones are silently left out, as the API does
WHOLE_NUMBER = "[0-9]{1,16}"  # int() fails of thousands of digits, and takes those of other scripts
_JSON_TYPES = {bool: "a boolean", dict: "an object", str: "a string"}
_TRUE = frozenset({"true", "True", "1"})  # hcloud-python sends Python's True
_FALSE = frozenset({"false", "False", "0"})


@dataclass(frozen=True, kw_only=True)
class OperationRequest:
    """One request to an operation: on which image or action, with which query and body."""

    operation: str
    query: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    image_id: int = 0
    action_id: int = 0

    def values(self, name: str) -> list[str]:
        """Return a parameter's values, in order."""
        return [value for key, value in self.query if key == name]

    def choices(self, name: str, allowed: frozenset[str]) -> list[str]:
        """Return a parameter's values, each of which must be an allowed one."""
        values = self.values(name)
        for value in values:
            if value not in allowed:
                raise api_errors.invalid_input(
                    name, f"must be one of {', '.join(sorted(allowed))}, not {value!r}"
                )
        return values

    def numbers(self, name: str) -> list[int]:
        """Return a parameter's values, each of which must be a whole number above 0."""
        return [_positive_integer(name, value) for value in self.values(name)]

    def number(self, name: str, default: int) -> int:
        return (self.numbers(name) or [default])[-1]

    def ids(self) -> list[int]:
        """Return the ids requested, at most as many as the API returns."""
        return self.numbers("id")[:MAX_IDS]

    def flag(self, name: str) -> bool:
        """Return a parameter that must be true or false; without it, it is false."""
        values = self.choices(name, _TRUE | _FALSE)
        return bool(values) and values[-1] in _TRUE

    def page(self) -> tuple[int, int]:
        """Return the number of the page requested and how many entries it holds."""
        per_page = self.number("per_page", 25)
        if per_page > MAX_PER_PAGE:
            raise api_errors.invalid_input("per_page", f"must be at most {MAX_PER_PAGE}")
        return self.number("page", 1), per_page

    def sort_keys(self, allowed: frozenset[str]) -> list[tuple[str, bool]]:
        """Return what to sort by, the most significant first, each with whether it descends."""
        directions = frozenset(f"{key}{suffix}" for key in allowed for suffix in ("", ":asc", ":desc"))
        values = self.choices("sort", directions)
        return [(value.partition(":")[0], value.endswith(":desc")) for value in values]

    def label_selector(self) -> LabelSelector:
        """Return what the labels must match; of repeated parameters, all of them."""
        try:
            return parse_label_selector(",".join(self.values("label_selector")))
        except SelectorSyntaxError as error:
            raise api_errors.invalid_input("label_selector", str(error)) from error

    def json_object(self, **fields: type) -> dict[str, Any]:
        """Return the body, which must be a JSON object with no other than these fields."""
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise api_errors.json_error() from error
        if not isinstance(body, dict):
            raise api_errors.json_error()
        for name, value in body.items():
            if name not in fields:
                raise api_errors.invalid_input(name, "is unknown")
            if not isinstance(value, fields[name]):
                raise api_errors.invalid_input(name, f"must be {_JSON_TYPES[fields[name]]}")
        return cast("dict[str, Any]", body)


def _positive_integer(name: str, value: str) -> int:
    if re.fullmatch(WHOLE_NUMBER, value) and 0 < int(value) <= MAX_NUMBER:
        return int(value)
    raise api_errors.invalid_input(name, f"must be a positive integer, not {value!r}")
