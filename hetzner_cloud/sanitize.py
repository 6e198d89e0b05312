"""Untrusted text made fit for an error message or a log line."""

import unicodedata
from collections.abc import Iterable

MAX_LENGTH = 300
_MAX_REPR_LENGTH = 80
_MAX_READ_LENGTH = 4_000  # looking at each character of megabytes takes long, and nothing else runs during it


def printable(text: str, *, max_length: int = MAX_LENGTH) -> str:
    """Return text as one line without control characters, cut with an ellipsis if it is too long."""
    beginning = text[:_MAX_READ_LENGTH]
    line = " ".join((beginning if beginning.isprintable() else _without_control(beginning)).split())
    is_cut = len(text) > _MAX_READ_LENGTH or len(line) > max_length
    return line[: max_length - 1] + "…" if is_cut else line


def printable_repr(value: object) -> str:
    """Return a short printable repr of any value."""
    try:
        return printable(repr(value), max_length=_MAX_REPR_LENGTH)
    except ValueError:  # an integer of thousands of digits
        return "one of thousands of digits"


def _without_control(text: str) -> str:
    return "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)


def join_bounded(items: Iterable[str], *, limit: int = 10, separator: str = ", ") -> str:
    """Join the first items of a list that may have thousands: `a, b and 1,490 more`."""
    items = list(items)
    named, more = separator.join(items[:limit]), len(items) - limit
    return f"{named} and {more:,} more" if more > 0 else named
