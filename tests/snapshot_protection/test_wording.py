"""Numbers with their nouns, and joined log lines."""

import pytest

from snapshot_protection.wording import join_in_chunks, pluralize


@pytest.mark.parametrize(("number", "text"), [(0, "0 snapshots"), (1, "1 snapshot"), (2, "2 snapshots")])
def test_a_number_is_written_with_its_noun(number: int, text: str) -> None:
    assert pluralize(number, "snapshot") == text


def test_strings_are_joined_to_lines_of_25() -> None:
    assert join_in_chunks("x" for _ in range(27)) == ["x" + "; x" * 24, "x; x"]
    assert join_in_chunks([]) == []
