"""Where a table has too little room: what is left out, what is cut, and what never is."""

import pytest
from rich.cells import cell_len

from cli.table_layout import Column, Row, cut, lay_out

COLUMNS = (
    Column("project"),
    Column("snapshot"),
    Column("server", optional=True),
    Column("reason", cut=True),
    Column("description", cut=True),
)


def row(**cells: str) -> Row:
    known = {"project": "prod", "snapshot": "100000001", "server": "db-1.example"}
    return Row(known | {"reason": "it is old " * 3, "description": "before the upgrade " * 3} | cells)


def texts(rows: list[Row], width: int) -> list[str]:
    return [line.text for line in lay_out(COLUMNS, rows, width)]


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (200, ["project", "snapshot", "server", "reason", "description"]),
        (64, ["project", "snapshot", "server", "reason", "description"]),
        (50, ["project", "snapshot", "reason", "description"]),
        (40, ["project", "snapshot", "reason"]),
        (20, ["project", "snapshot"]),
    ],
)
def test_optional_columns_are_left_out_before_those_that_are_cut(width: int, header: list[str]) -> None:
    head, line = texts([row()], width)
    assert head.split() == header
    assert line.startswith("prod     100000001")
    assert max(map(cell_len, (head, line))) <= width


def test_a_project_becomes_a_heading_where_its_name_has_no_room_beside_the_ids() -> None:
    rows = [row(project="a" * 60, snapshot="1" * 16), row(), row(project="a" * 60, snapshot="2" * 16)]
    lines = texts(rows, 70)
    assert lines[0] == "prod"
    assert lines[2] == "a" * 60
    assert [line.split()[0] for line in lines[3:]] == ["1" * 16, "2" * 16]
    assert max(map(cell_len, lines)) <= 70


def test_a_row_is_as_long_as_it_is_where_not_even_the_ids_have_room() -> None:
    assert texts([Row({"project": "prod", "snapshot": "100000001"})], 8) == ["prod  100000001"]


@pytest.mark.parametrize("text", ["数据库备份" * 9, "🎉" * 40, "x" * 300, "é" * 90, "e\u0301" * 90])
@pytest.mark.parametrize("width", [12, 13, 14])
def test_what_is_cut_has_the_width_whatever_its_characters(text: str, width: int) -> None:
    assert width - 1 <= cell_len(cut(text, width)) <= width
    assert cut(text, width).endswith("…")


def test_a_row_ends_with_its_last_character() -> None:
    assert not [line for line in texts([row(description="short"), row()], 1_000) if line.endswith(" ")]


def test_nothing_is_printed_when_there_are_no_rows() -> None:
    assert lay_out(COLUMNS, [], 80) == []
