"""Texts of others, made fit to be shown: in a log, a table, a page."""

import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&:.@/-])")
_MAX_LENGTH = 300


def printable(text: str, *, max_length: int = _MAX_LENGTH) -> str:
    """Make one line without control characters of a text, cut with an ellipsis where it is too long."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    line = " ".join(visible.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def escape_markdown(text: str) -> str:
    """Take from a text all meaning that it would have as markdown or HTML."""
    return _MARKDOWN.sub(r"\\\1", printable(text)).replace("\\<", "&lt;").replace("\\>", "&gt;")


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: 1 snapshot, 2 snapshots."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
