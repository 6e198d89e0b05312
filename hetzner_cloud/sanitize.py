"""Texts of others, made fit to be shown: in a log, a table, a page."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

IN_A_LINE = 25  # texts
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&:.@/-])")
_WORD = re.compile(r"(?:[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*)?")  # an underscore in a word means nothing
_MAX_LENGTH = 300
_MAX_CELL_LENGTH = 2_000


def printable(text: str, *, max_length: int = _MAX_LENGTH) -> str:
    """Make one line without control characters of a text, cut with an ellipsis where it is too long."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    line = " ".join(visible.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def escape_markdown(text: str, *, max_length: int = _MAX_LENGTH) -> str:
    """Take from a text all meaning that it would have as markdown or HTML."""
    line = printable(text, max_length=max_length)
    return _MARKDOWN.sub(r"\\\1", line).replace("\\<", "&lt;").replace("\\>", "&gt;")


def escape_rows(rows: Iterable[Mapping[str, str | int]]) -> list[dict[str, str | int]]:
    """Make a table fit for a page: Prefect's UI takes texts in cells for markdown, with pictures, links."""
    return [{column: _as_cell(value) for column, value in row.items()} for row in rows]


def _as_cell(value: str | int) -> str | int:
    if not isinstance(value, str) or _WORD.fullmatch(value):
        return value
    return escape_markdown(value, max_length=_MAX_CELL_LENGTH)


def pluralize(number: int, noun: str) -> str:
    """Write a number with its noun: 1 snapshot, 2 snapshots."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def join_in_chunks(texts: Iterable[str]) -> list[str]:
    """Join texts to lines of 25 each, for a log: of what went as it should, a line each is many and slow."""
    texts = list(texts)
    return ["; ".join(texts[at : at + IN_A_LINE]) for at in range(0, len(texts), IN_A_LINE)]
