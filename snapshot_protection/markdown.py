"""Untrusted text made safe for Markdown pages and tables."""

import re
from collections.abc import Iterable, Mapping

from hetzner_cloud.sanitize import MAX_LENGTH, printable

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&:.@/-])")
_WORD = re.compile(r"(?:[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*)?")  # an underscore inside a word has no meaning
_MAX_CELL_LENGTH = 2_000


def escape_markdown(text: str, *, max_length: int = MAX_LENGTH) -> str:
    """Escape everything that Markdown or HTML would interpret."""
    line = printable(text, max_length=max_length)
    return _MARKDOWN.sub(r"\\\1", line).replace("\\<", "&lt;").replace("\\>", "&gt;")


def escape_rows(rows: Iterable[Mapping[str, str | int]]) -> list[dict[str, str | int]]:
    """Escape a table's cells, which the UI renders as Markdown, images and links included."""
    return [{column: _escape_cell(value) for column, value in row.items()} for row in rows]


def _escape_cell(value: str | int) -> str | int:
    if not isinstance(value, str) or _WORD.fullmatch(value):
        return value
    return escape_markdown(value, max_length=_MAX_CELL_LENGTH)
