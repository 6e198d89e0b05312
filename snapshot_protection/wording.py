"""Numbers and lists in plain English, for logs and reports."""

from collections.abc import Iterable, Sequence

IN_A_LINE = 25  # strings joined into one log line
_MAX_NAMED = 5


def pluralize(number: int, noun: str) -> str:
    """Format a number with its noun: 1 snapshot, 2 snapshots."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def join_in_chunks(strings: Iterable[str]) -> list[str]:
    """Join strings into log lines of 25 each: a line for each of thousands is slow to write and to read."""
    strings = list(strings)
    return ["; ".join(strings[at : at + IN_A_LINE]) for at in range(0, len(strings), IN_A_LINE)]


def join_first(strings: Sequence[str]) -> str:
    """Join the first 5 strings, and count the others, for a message that stays readable."""
    more = [f"and {len(strings) - _MAX_NAMED} more"] if len(strings) > _MAX_NAMED else []
    return "; ".join([*strings[:_MAX_NAMED], *more])
