"""Which module of this project imports which, wherever in a file the import is written."""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = (
    ("cli",),
    ("deploy", "playground"),
    ("flows",),
    ("tasks",),
    ("reporting",),
    ("records",),
    ("blocks",),
    ("snapshot_protection",),
    ("hetzner_cloud",),
)
OUTSIDE = ("benchmarks", "sandbox")
PACKAGES = (*(package for layer in LAYERS for package in layer), *OUTSIDE)


@dataclass(frozen=True)
class Import:
    """An import: `flows.protect_snapshots` imports `tasks.images`.

    Attributes:
        source: The module that imports.
        target: The imported module, of this project or not.
        as_command: Whether it is in the part that runs only if the file is started: `__name__ == "__main__"`.
    """

    source: str
    target: str
    as_command: bool = False

    def __str__(self) -> str:
        return f"{self.source} imports {self.target}"

    @property
    def packages(self) -> tuple[str, str]:
        """The package that imports, and the imported one."""
        return package_of(self.source), package_of(self.target)

    @property
    def is_handover(self) -> bool:
        """Whether a flow that is started as a file hands over to the command: the one import upwards."""
        return self.as_command and self.packages == ("flows", "cli")


def package_of(module: str) -> str:
    return module.partition(".")[0]


@cache
def modules() -> Mapping[str, Path]:
    """Return the file of each module of the source packages; a package's own is its `__init__.py`."""
    return {name: path for package in PACKAGES for name, path in modules_in(package).items()}


def modules_in(package: str) -> dict[str, Path]:
    return {_module_name(path): path for path in sorted((ROOT / package).rglob("*.py"))}


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports() -> tuple[Import, ...]:
    """Return all imports of the source packages' modules."""
    known = modules()
    return tuple(one for name, path in known.items() for one in imports_in(name, path.read_text(), known))


def imports_in(module: str, source: str, known: Collection[str]) -> Iterator[Import]:
    """Yield the imports of one module, those in functions and under TYPE_CHECKING too.

    Args:
        module: The module's name.
        source: Its text.
        known: The modules of this project: `from tasks import images` imports `tasks.images`.
    """
    for statement in ast.parse(source).body:
        as_command = isinstance(statement, ast.If) and _is_main_check(statement.test)
        for node in ast.walk(statement):
            for target in _imported_by(node, known):
                yield Import(module, target, as_command)


def _is_main_check(test: ast.expr) -> bool:
    return ast.unparse(test) == "__name__ == '__main__'"


def _imported_by(node: ast.AST, known: Collection[str]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(base), names=names, level=0):
            for alias in names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base
        case ast.ImportFrom():
            raise ValueError(f"line {node.lineno}: imports here are absolute")


def package_imports(found: Collection[Import]) -> set[tuple[str, str]]:
    """Return which source package imports which other one."""
    pairs = {one.packages for one in found if not one.is_handover}
    return {(source, target) for source, target in pairs if source != target and target in PACKAGES}


def find_cycle(found: Collection[Import]) -> list[str]:
    """Return modules that import each other in a circle, the first one again at the end; or none."""
    graph: dict[str, set[str]] = {}
    for one in found:
        if not one.is_handover:
            graph.setdefault(one.source, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return []
