"""Untrusted text on Markdown pages and in tables."""

import pytest

from snapshot_protection.markdown import escape_markdown, escape_rows


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


def test_a_cell_is_plain_text_to_a_page() -> None:
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
