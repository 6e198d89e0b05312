"""Tables of a given width: one line for each row; only some columns may be cut. Pure.

What a width has no room for is left out: columns that are optional, then those that may be cut. Then the
first column becomes a heading over its rows. Where even that is too wide, a row is as long as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

_GAP = "  "
_MIN_CUT_WIDTH = 12  # columns; less of a text says nothing


@dataclass(frozen=True)
class Column:
    """A column; its name is its header.

    Attributes:
        optional: Whether it is left out where there is no room for it, the last one first.
        cut: Whether its cells may be cut, with an ellipsis.
    """

    name: str
    optional: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Row:
    """A row: its cells by the name of their column, and its style."""

    cells: Mapping[str, str]
    style: str = ""


class Line(NamedTuple):
    """A line to print."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class _Table:
    columns: Sequence[Column]
    rows: Sequence[Row]
    width: int
    longest: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Sequence[Column], rows: Sequence[Row], width: int) -> "_Table":
        longest = {
            column.name: max([cell_len(row.cells.get(column.name, "")) for row in rows]) for column in columns
        }
        used = [column for column in columns if longest[column.name]]
        widths = {column.name: max(longest[column.name], cell_len(column.name)) for column in used}
        return cls(used, rows, width, widths)

    @property
    def min_width(self) -> int:
        widths = (self._min_width_of(column) for column in self.columns)
        return sum(widths) + len(_GAP) * (len(self.columns) - 1)

    @property
    def fits(self) -> bool:
        return self.min_width <= self.width

    def _min_width_of(self, column: Column) -> int:
        longest = self.longest[column.name]
        return min(longest, max(_MIN_CUT_WIDTH, cell_len(column.name))) if column.cut else longest

    def without(self, column: Column) -> "_Table":
        return replace(self, columns=[each for each in self.columns if each is not column])

    def reduced(self) -> "_Table":
        """Leave out what there is no room for: optional columns, then those that may be cut."""
        table = self
        dispensable = [column for column in self.columns if column.optional and not column.cut]
        dispensable = [column for column in self.columns if column.cut] + dispensable
        while not table.fits and dispensable:
            table = table.without(dispensable.pop())
        return table

    def lines(self, *, header: bool) -> list[Line]:
        widths = self._widths()
        head = [Line(_join([(column.name, widths[column.name]) for column in self.columns]), "bold")]
        rows = [
            Line(
                _join([(row.cells.get(column.name, ""), widths[column.name]) for column in self.columns]),
                row.style,
            )
            for row in self.rows
        ]
        return head + rows if header else rows

    def _widths(self) -> Mapping[str, int]:
        """What is left over is shared among the columns that are cut, the first one first."""
        widths = {column.name: self._min_width_of(column) for column in self.columns}
        left = max(0, self.width - self.min_width)
        for column in self.columns:
            more = min(left, self.longest[column.name] - widths[column.name])
            widths[column.name] += more
            left -= more
        return widths


def lay_out(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Line]:
    """Lay rows out as a table; columns that no row has are left out."""
    if not rows:
        return []
    table = _Table.of(columns, rows, width).reduced()
    if table.fits:
        return table.lines(header=True)
    first = table.columns[0]
    under_headings = _Table.of([column for column in columns if column is not first], rows, width).reduced()
    if under_headings.columns and under_headings.fits:
        return _under_headings(first, under_headings)
    return [Line(_GAP.join(filter(None, row.cells.values())), row.style) for row in rows]


def cut(text: str, width: int) -> str:
    """Cut a text that is wider than a number of columns."""
    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, width - 1).rstrip()}…"


def _under_headings(heading: Column, table: _Table) -> list[Line]:
    """Group the rows by their first cell, in the order in which each group ends: the last row stays last."""
    groups: dict[str, list[Row]] = {}
    for row in reversed(table.rows):
        groups.setdefault(row.cells.get(heading.name, ""), []).insert(0, row)
    lines = []
    for name, rows in reversed(groups.items()):
        lines += [Line(name, "bold"), *replace(table, rows=rows).lines(header=False)]
    return lines


def _join(cells: Sequence[tuple[str, int]]) -> str:
    parts = [set_cell_size(cut(text, width), width) for text, width in cells]
    return _GAP.join(parts).rstrip()
