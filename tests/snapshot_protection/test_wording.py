"""Numbers with their nouns, and joined log lines."""

import pytest

from snapshot_protection.wording import join_first, join_in_chunks, pluralize


@pytest.mark.parametrize(("number", "text"), [(0, "0 snapshots"), (1, "1 snapshot"), (2, "2 snapshots")])
def test_a_number_is_written_with_its_noun(number: int, text: str) -> None:
    assert pluralize(number, "snapshot") == text


def test_strings_are_joined_to_lines_of_25() -> None:
    assert join_in_chunks("x" for _ in range(27)) == ["x" + "; x" * 24, "x; x"]
    assert join_in_chunks([]) == []


def test_of_many_strings_the_first_are_named_and_the_others_counted() -> None:
    assert join_first(["x"] * 5) == "x; x; x; x; x"
    assert join_first([*"abcde", "f", "g"]) == "a; b; c; d; e; and 2 more"
