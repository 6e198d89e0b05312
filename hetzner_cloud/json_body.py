"""The JSON of a response: parsed in one place, and the token masked in every string of it.

What is masked is the parsed strings and not the bytes, in which escapes can spell the token in many ways. All
that is read of a body is read from here, so nothing can be read that was not masked.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import from_json

from hetzner_cloud.redaction import Redactor

_MAX_DEPTH = 200  # as pydantic's parser has it
_MAX_SLOW_BYTES = 2**20  # what Python itself parses or changes takes long, and nothing else runs during it
_MAX_DIGITS = 400
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class JsonBody:
    """The content of a body; `error` is why it has none, empty if it has."""

    content: object = None
    error: str = ""


def parse_body(received: bytes, redactor: Redactor) -> JsonBody:
    """Parse a body, and mask the token in its strings and keys.

    Text that is no valid Unicode, e.g. half a surrogate pair, is replaced where it stands: one such
    description must not cost the whole page.
    """
    if not received:
        return JsonBody(error="the body is empty")
    try:
        content = from_json(received)
    except ValueError as error:
        return _parse_leniently(received, redactor, str(error))
    if redactor.is_in(received, content):
        if len(received) > _MAX_SLOW_BYTES:
            return JsonBody(error=f"it contains the API token, and has more than {_MAX_SLOW_BYTES} bytes")
        content = _map_strings(content, redactor.redact)
    return JsonBody(content)


def _parse_leniently(received: bytes, redactor: Redactor, reason: str) -> JsonBody:
    def clean(text: str) -> str:
        return redactor.redact(_SURROGATES.sub(_REPLACEMENT, text))

    if len(received) > _MAX_SLOW_BYTES:
        return JsonBody(error=f"Invalid JSON: {reason}")
    try:
        content = json.loads(received.decode(errors="replace"), strict=False, parse_int=_parse_int)
    except (ValueError, RecursionError):
        return JsonBody(error=f"Invalid JSON: {reason}")
    return JsonBody(_map_strings(content, clean))


def _parse_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _map_strings(value: object, change: Callable[[str], str], depth: int = 0) -> object:
    """Return JSON with every string changed, keys too; what is nested too deeply is None."""
    if isinstance(value, str):
        return change(value)
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {change(key): _map_strings(inner, change, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_map_strings(inner, change, depth + 1) for inner in value]
    return value
