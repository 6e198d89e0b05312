"""Texts of others, made fit to be shown."""

import pytest

from hetzner_cloud.sanitize import escape_markdown, escape_rows, join_in_chunks, pluralize, printable


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


def test_a_text_is_cut_where_it_is_told() -> None:
    assert printable("0123456789", max_length=5) == "0123…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain text 42", "plain text 42"),
        ("a|b", r"a\|b"),
        ("# title", r"\# title"),
        ("**bold** _it_ `code`", r"\*\*bold\*\* \_it\_ \`code\`"),
        ("[a](https://evil.test)", r"\[a\]\(https\:\/\/evil\.test\)"),
        ("<img src=x onerror=alert>", "&lt;img src=x onerror=alert&gt;"),
        (r"\<b\>", r"\\&lt;b\\&gt;"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("a\n\n- b", r"a \- b"),
        ("![](x)", r"\!\[\]\(x\)"),
        ("a@b.test ~~no~~", r"a\@b\.test \~\~no\~\~"),
    ],
)
def test_a_text_means_nothing_as_markdown_when_it_was(text: str, shown: str) -> None:
    assert escape_markdown(text) == shown


@pytest.mark.parametrize(("number", "text"), [(0, "0 snapshots"), (1, "1 snapshot"), (2, "2 snapshots")])
def test_a_number_is_written_with_its_noun(number: int, text: str) -> None:
    assert pluralize(number, "snapshot") == text


def test_a_cell_is_a_text_and_nothing_else_to_a_page() -> None:
    row: dict[str, str | int] = {
        "snapshot": 100000001,
        "outcome": "already_protected",
        "description": "<img src=x> [a](https://evil.test)",
        "server": "__bold__",
        "message": "long " * 300,
    }
    assert escape_rows([row]) == [
        row
        | {
            "server": r"\_\_bold\_\_",
            "description": r"&lt;img src=x&gt; \[a\]\(https\:\/\/evil\.test\)",
            "message": ("long " * 300).strip(),
        }
    ]


def test_texts_are_joined_to_lines_of_25() -> None:
    assert join_in_chunks("x" for _ in range(27)) == ["x" + "; x" * 24, "x; x"]
    assert join_in_chunks([]) == []
