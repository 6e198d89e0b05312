"""The words that docs/STYLE.md calls wrong in every sentence occur in no tracked text file."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEVER = (
    "alike",
    "anew",
    "answer(s|ed)? with",
    "at fault",
    "back-offs?",
    "clear text",
    "fell silent",
    "for ever",
    "heals?",
    "lift(s|ed|ing)?",
    "look-ups?",
    "look(s|ed|ing)? again",
    "meanwhile",
    "mend(s|ed|ing)?",
    "nobody",
    "otherwise than",
    "particulars",
    "reckon(s|ed|ing)?",
    "refusals?",
    "second look",
    "somebody",
    "spoil(s|ed|ing|t)?",
    "stand-ins?",
    "the worst first",
    "this very",
    "time of grace",
    "time-outs?",
    "troubles?",
    "under way",
    "what (had |has )?bec(a|o)me of",
)
PATTERN = re.compile(rf"\b({'|'.join(NEVER)})\b", re.IGNORECASE)
NOT_OURS = {"LICENSE", "requirements.lock"}
LISTS = {"docs/STYLE.md", "tests/test_vocabulary.py"}


def tracked_files() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in sorted(set(listed) - NOT_OURS - LISTS - {""}) if (ROOT / name).is_file()]


def prose_of(name: str) -> str:
    """Read a file, also one that is no text; of the changelog, only what is not released yet."""
    content = (ROOT / name).read_text(errors="replace")
    return (
        content.partition("\n## [Unreleased]")[2].partition("\n## [")[0]
        if name == "CHANGELOG.md"
        else content
    )


def found_in(content: str) -> list[str]:
    """Find the words also in names, and over the end of a line, of a comment too."""
    joined = re.sub(r"\s+((#|>|\*) )?", " ", content.replace("_", " "))
    return [match[0] for match in PATTERN.finditer(joined)]


def test_no_file_has_a_word_that_is_never_right() -> None:
    found = {name: found_in(prose_of(name)) for name in tracked_files() if not name.endswith(".png")}
    assert len(found) > 100
    lines = [f"{name}: {', '.join(words)}" for name, words in found.items() if words]
    assert not lines, "\n".join(["docs/STYLE.md has better words for these:", *lines])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("It is Mended.", ["Mended"]),
        ("def test_nobody_knows(): ...", ["nobody"]),
        ("# a request that was answered\n# with 404", ["answered with"]),
        ("amend, troubleshooting, forever, timeout", []),
    ],
)
def test_a_word_is_found_in_any_form_and_no_other_word(content: str, expected: list[str]) -> None:
    assert found_in(content) == expected


def test_the_style_guide_lists_each_of_the_words() -> None:
    guide = (ROOT / "docs" / "STYLE.md").read_text().partition("## Words")[2]
    assert [never for never in NEVER if not re.search(never, guide)] == []
