"""Parts of documents that are written from the code, each between two marks."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_END = "<!-- end -->"


@dataclass(frozen=True)
class GeneratedPart:
    """A part of a document.

    Attributes:
        page: Its document, relative to the project.
        name: What its mark calls it.
        writer: The module that writes it, with `python -m`.
    """

    page: str
    name: str
    writer: str

    def read(self) -> str:
        """Read the part as it stands in the page."""
        return self._split()[1]

    def write(self, content: str) -> None:
        """Replace the part; all that is around it stays."""
        before, _, after = self._split()
        (ROOT / self.page).write_text(f"{before}{content}{after}")

    def _split(self) -> tuple[str, str, str]:
        mark = f"<!-- written by python -m {self.writer}: {self.name} -->\n"
        before, start, rest = (ROOT / self.page).read_text().partition(mark)
        part, end, after = rest.partition(f"\n{_END}")
        if not (start and end):
            raise ValueError(f"{self.page} has lost a mark of its part {self.name}")
        return before + start, part, end + after


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Format a Markdown table, each row on one line."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")
