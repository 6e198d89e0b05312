"""Imports run flows → tasks → blocks → hetzner_cloud, never back; the core knows no Prefect."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("hetzner_cloud", "blocks", "tasks", "flows")
FILES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_its_own_layer_and_those_below(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    above = set(LAYERS[LAYERS.index(layer) + 1 :]) | {"benchmarks", "playground", "tests"}
    forbidden = above | ({"prefect"} if layer == "hetzner_cloud" else set())
    assert not forbidden & set(imported_by(path))


def test_no_module_is_named_like_a_package() -> None:
    assert not {path.stem for path in FILES if path.stem in {*LAYERS, "prefect"}}
