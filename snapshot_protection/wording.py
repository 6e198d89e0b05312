"""Numbers and lists in plain English, for logs and reports."""

from collections.abc import Iterable, Sequence

from hetzner_cloud.sanitize import join_bounded

__all__ = ["IN_A_LINE", "first_ones", "join_bounded", "join_in_chunks", "pluralize"]

IN_A_LINE = 25  # strings joined into one log line


def pluralize(number: int, noun: str) -> str:
    """Format a number with its noun: 1 snapshot, 2 snapshots."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_ones(strings: Sequence[str], limit: int, noun: str = "") -> list[str]:
    """Return the first strings of a list that may have thousands, then how many more there are."""
    more = len(strings) - limit
    if more <= 0:
        return list(strings)
    return [*strings[:limit], f"and {pluralize(more, f'more {noun}') if noun else f'{more:,} more'}"]


def join_in_chunks(strings: Iterable[str]) -> list[str]:
    """Join strings into log lines of 25 each: a line for each of thousands is slow to write and to read."""
    strings = list(strings)
    return ["; ".join(strings[at : at + IN_A_LINE]) for at in range(0, len(strings), IN_A_LINE)]
