"""A run's report as it is published: message, log lines, summary and tables, rendered once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Links = Mapping[str, str]
Row = Mapping[str, str | int]


@dataclass(frozen=True)
class LogLine:
    """A line for the run's log; `level` is one of `logging`."""

    text: str
    level: int = logging.INFO


@dataclass(frozen=True)
class RenderedTable:
    """A table.

    Attributes:
        rows: With the columns as keys.
        description: A sentence about the table.
        key: The name under which successive runs publish it; None: this run only.
        project: The project that it is about; empty: all.
    """

    rows: Sequence[Row]
    description: str
    key: str | None
    project: str = ""


@dataclass(frozen=True)
class RenderedSummary:
    """A summary in Markdown.

    Attributes:
        markdown: The text, or a function that makes it from the links to the tables, by project.
        description: A sentence about the summary.
        key: As of a table.
    """

    markdown: str | Callable[[Links], str]
    description: str
    key: str | None


@dataclass(frozen=True)
class RenderedReport:
    """All that a run shows of its report.

    Attributes:
        message: One line, for the final state.
    """

    message: str
    log_lines: Sequence[LogLine]
    summary: RenderedSummary
    tables: Sequence[RenderedTable]
