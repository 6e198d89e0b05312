"""From data, such as a YAML file or a saved block, to a policy; an error names the rule and the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.sanitize import printable, printable_repr
from snapshot_protection.policy import Policy

_MAX_ERRORS = 5
_REASONS = {"extra_forbidden": "there is no such field", "missing": "is missing"}


def parse_policy(content: object) -> Policy:
    """Make a policy of data, such as a parsed YAML file.

    Raises:
        InvalidArgumentError: It is none; the message names the rule and the field.
    """
    if not isinstance(content, Mapping):
        raise InvalidArgumentError("A policy is a mapping with the keys `rules` and `timezone`.")
    try:
        return Policy.model_validate(dict(content))
    except ValidationError as error:
        raise InvalidArgumentError(f"The policy is invalid: {_describe_errors(error, content)}.") from None


def _describe_errors(error: ValidationError, content: Mapping[str, Any]) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{_place(detail['loc'], content)}{_reason(detail['type'], detail['msg'])}"
        for detail in details[:_MAX_ERRORS]
    ]
    more = [f"and {len(details) - _MAX_ERRORS} more"] if len(details) > _MAX_ERRORS else []
    return "; ".join(shown + more)


def _reason(kind: str, message: str) -> str:
    return _REASONS.get(kind) or message.removeprefix("Value error, ").removesuffix(".")


def _place(location: Sequence[int | str], content: Mapping[str, Any]) -> str:
    match list(location):
        case ["rules", int(index), *fields]:
            parts = [_rule_label(index, content), *fields]
        case parts:
            pass
    return "".join(f"{printable(str(part))}: " for part in parts)


def _rule_label(index: int, content: Mapping[str, Any]) -> str:
    try:
        name = content["rules"][index]["name"]
    except (LookupError, TypeError):
        return f"rule number {index + 1}"
    return f"rule {printable_repr(name)}"
