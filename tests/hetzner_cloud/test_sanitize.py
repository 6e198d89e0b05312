"""Untrusted text made printable."""

import unicodedata

import pytest

from hetzner_cloud.sanitize import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("before the upgrade", "before the upgrade"),
        ("Grüße, 世界 🚀", "Grüße, 世界 🚀"),
        ("a\nb\r\nc\td", "a b c d"),
        ("  a   b  ", "a b"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("a\x00b\x7fc\x9bd", "a b c d"),
        ("a\u202eb\u200bc\u2028d\ufeffe", "a b c d e"),
        ("a\ud800b", "a b"),
        ("\n\x00\u200b", ""),
    ],
    ids=ascii,
)
def test_a_text_is_one_line_without_control_characters_when_it_was(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown.isprintable()


@pytest.mark.parametrize(("length", "shown"), [(299, 299), (300, 300), (301, 300), (100_000, 300)])
def test_a_text_is_cut_when_it_is_too_long(length: int, shown: int) -> None:
    cut = printable("x" * length)
    assert len(cut) == shown
    assert cut.endswith("…") is (length > 300)


def test_a_text_is_cut_at_the_given_length() -> None:
    assert printable("0123456789", max_length=5) == "0123…"


def test_of_a_text_of_megabytes_only_the_beginning_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    category = unicodedata.category

    def look_at(character: str) -> str:
        looked_at.append(character)
        return category(character)

    monkeypatch.setattr(unicodedata, "category", look_at)
    assert printable("\u200b" + "x" * 2**20).endswith("…")
    assert len(looked_at) <= 10_000


def test_a_text_that_begins_with_thousands_of_blanks_says_that_it_was_cut() -> None:
    assert printable(" " * 2**20 + "x") == "…"
    assert printable(" " * 2**20) == "…"
    assert printable("a" + "\n" * 2**20 + "x") == "a…"
