"""docs/troubleshooting.md quotes messages as the source has them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.import_graph import PACKAGES, modules_in

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
OF_OTHERS = {"hetzner-snapshots: command not found", "ERROR Finished in state Suspended"}


def strings() -> Iterator[str]:
    """Each string of the source, with … in place of what is filled in."""
    for package in PACKAGES:
        for path in modules_in(package).values():
            yield from (text for node in ast.walk(ast.parse(path.read_text())) for text in _string(node))


def _string(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.sub(r"%[sd]|\{.*?\}", "…", node.value)


SOURCE = "\n".join([*strings(), (ROOT / "Makefile").read_text()])
QUOTED = [
    message
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for message in re.findall(r"`([^`]+)`", line.split(" | ")[0])
]


@pytest.mark.parametrize("message", QUOTED)
def test_a_message_of_the_page_is_one_of_the_source(message: str) -> None:
    found = message in OF_OTHERS or message in SOURCE
    assert found, message


def test_the_page_has_many_messages() -> None:
    assert len(QUOTED) > 40
