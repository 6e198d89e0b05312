"""Numbers with their nouns, and joined log lines."""

import pytest

from snapshot_protection.wording import first_ones, join_bounded, join_in_chunks, pluralize


@pytest.mark.parametrize(("number", "text"), [(0, "0 snapshots"), (1, "1 snapshot"), (2, "2 snapshots")])
def test_a_number_is_written_with_its_noun(number: int, text: str) -> None:
    assert pluralize(number, "snapshot") == text


def test_strings_are_joined_to_lines_of_25() -> None:
    assert join_in_chunks("x" for _ in range(27)) == ["x" + "; x" * 24, "x; x"]
    assert join_in_chunks([]) == []


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, ""), (1, "1"), (3, "1, 2, 3"), (4, "1, 2, 3 and 1 more"), (1_493, "1, 2, 3 and 1,490 more")],
)
def test_a_joined_list_is_bounded(count: int, text: str) -> None:
    assert join_bounded((str(number) for number in range(1, count + 1)), limit=3) == text


def test_the_parts_of_a_message_are_bounded() -> None:
    assert first_ones(["a", "b"], 2, "project") == ["a", "b"]
    assert first_ones(["a", "b", "c"], 2, "project") == ["a", "b", "and 1 more project"]
    assert first_ones(["a"] * 2_002, 1) == ["a", "and 2,001 more"]
