"""Writes docs/architecture.md from the source: `python -m tests.support.architecture_page`."""

import ast
from collections.abc import Collection, Iterator
from itertools import product

from tests.support.generated_parts import GeneratedPart
from tests.support.import_graph import (
    PACKAGES,
    ROOT,
    imports,
    modules,
    modules_in,
    package_imports,
)

PART = GeneratedPart("docs/architecture.md", "packages", "tests.support.architecture_page")


def summary_of(source: str) -> str:
    """Return the first line of a module's docstring.

    Raises:
        ValueError: It has none.
    """
    docstring = ast.get_docstring(ast.parse(source))
    if not docstring:
        raise ValueError("there is no docstring")
    return docstring.splitlines()[0]


def drawn(pairs: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the imports that do not follow from two others, in the order of the packages."""
    return [
        (source, target)
        for source, target in product(PACKAGES, PACKAGES)
        if (source, target) in pairs
        and not any((source, other) in pairs and (other, target) in pairs for other in PACKAGES)
    ]


def render() -> str:
    """Return the generated part of the page: the picture, then each package with its files."""
    pairs = package_imports(imports())
    return "\n".join([*_picture(pairs), *(line for name in PACKAGES for line in _section(name, pairs))])


def _picture(pairs: Collection[tuple[str, str]]) -> Iterator[str]:
    yield "```mermaid"
    yield "flowchart TD"
    yield from (f"    {source} --> {target}" for source, target in drawn(pairs))
    if any(one.is_handover for one in imports()):
        yield '    flows -. "started as a file" .-> cli'
    yield "```"


def _section(package: str, pairs: Collection[tuple[str, str]]) -> Iterator[str]:
    targets = ", ".join(f"`{target}`" for target in PACKAGES if (package, target) in pairs)
    yield f"\n### {package}/\n"
    yield f"{summary_of(modules()[package].read_text())} Imports {targets or 'no other package'}.\n"
    for module, path in modules_in(package).items():
        if module != package:
            yield f"- `{path.relative_to(ROOT / package)}`: {summary_of(path.read_text())}"


def main() -> None:
    """Write the page's generated part from scratch."""
    PART.write(render())


if __name__ == "__main__":
    main()
