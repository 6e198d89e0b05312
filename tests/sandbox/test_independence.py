"""The sandbox judges the rest of the project, so it shares no code with it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "sandbox").rglob("*.py"))
OURS = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"sandbox"}


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield (node.module or "").partition(".")[0]


def test_there_are_other_packages_to_be_independent_of() -> None:
    assert {"hetzner_cloud", "snapshot_protection", "tests"} <= OURS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_module_of_the_sandbox_imports_no_other_package_of_this_project(path: Path) -> None:
    assert not OURS & set(imported_by(path))
