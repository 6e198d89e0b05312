"""Texts of others, made fit to be shown."""

import pytest

from hetzner_cloud.text import counted, escape_markdown, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as it is", "as it is"),
        ("", ""),
        ("  two\n\n lines\t", "two lines"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("null\x00byte", "null byte"),
        ("right\u202eleft", "right left"),
        ("line\u2028separator", "line separator"),
        ("lone\ud800surrogate", "lone surrogate"),
        ("größer ✓", "größer ✓"),
    ],
)
def test_a_text_is_one_line_without_control_characters_when_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(("length", "shown"), [(9, 9), (10, 10), (11, 10), (1000, 10)])
def test_a_text_is_cut_with_an_ellipsis_when_it_is_too_long(length: int, shown: int) -> None:
    line = printable("a" * length, max_length=10)
    assert len(line) == shown
    assert line.endswith("…") is (length > 10)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain text 1", "plain text 1"),
        ("a|b", r"a\|b"),
        ("[x](https://e.com)", r"\[x\]\(https\:\/\/e\.com\)"),
        ("<script>", "&lt;script&gt;"),
        ("\\<b>", r"\\&lt;b&gt;"),
        ("&lt;", r"\&lt;"),
        ("`code` *bold* _it_ ~no~", r"\`code\` \*bold\* \_it\_ \~no\~"),
        ("# title\n- item", r"\# title \- item"),
        ("1. first", r"1\. first"),
    ],
)
def test_a_text_means_nothing_as_markdown_when_escaped(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 snapshots"), (1, "1 snapshot"), (2, "2 snapshots"), (1000, "1000 snapshots")]
)
def test_a_noun_follows_its_number_when_counted(number: int, text: str) -> None:
    assert counted(number, "snapshot") == text
