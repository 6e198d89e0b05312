"""Figures that tests bring along: with `--figures FILE`, each is a line of JSON in it."""

from collections import Counter
from typing import Any, Protocol

EXAMPLES: Counter[str] = Counter()  # how many each property test has tried, by what it holds


class RecordFigure(Protocol):
    """Write a figure down, under the name of its section in docs/reliability.md."""

    def __call__(self, section: str, **figure: Any) -> None: ...


def example_of(what: str) -> None:
    """Count an example of a property test."""
    EXAMPLES[what] += 1
