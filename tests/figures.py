"""Figures that tests bring along: with `--figures FILE`, each is a line of JSON in it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

EXAMPLES: Counter[str] = Counter()  # how many each property test has tried, by what it holds


class RecordFigure(Protocol):
    """Write a figure down, under the name of its section in docs/reliability.md."""

    def __call__(self, section: str, **figure: Any) -> None: ...


def write_figure(path: Path | None, section: str, figure: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lines:
            lines.write(json.dumps({"section": section} | figure, ensure_ascii=False) + "\n")


def example_of(what: str) -> None:
    """Count an example of a property test."""
    EXAMPLES[what] += 1
