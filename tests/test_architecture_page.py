"""docs/architecture.md shows the packages, files and imports as they are."""

import re

import pytest

from tests.support.architecture_page import PART, drawn, render, summary_of
from tests.support.import_graph import PACKAGES, imports, modules, package_imports

REGENERATE = "run `python -m tests.support.architecture_page`"


def test_the_page_is_what_the_source_says() -> None:
    assert PART.read() == render(), REGENERATE


def test_every_file_has_exactly_one_line() -> None:
    part = PART.read()
    for package in PACKAGES:
        section = part.partition(f"### {package}/\n")[2].partition("\n### ")[0]
        listed = re.findall(r"^- `(\S+)\.py`: \S", section, re.MULTILINE)
        names = [file.removesuffix("/__init__").replace("/", ".") for file in listed]
        expected = [name for name in modules() if name.startswith(f"{package}.")]
        assert [f"{package}.{name}" for name in names] == expected, REGENERATE


def test_the_picture_leads_from_a_package_to_all_that_it_imports_and_no_further() -> None:
    pairs = package_imports(imports())
    arrows = re.findall(r"^    (\w+) --> (\w+)$", PART.read(), re.MULTILINE)
    assert set(arrows) <= pairs
    assert all(target in reached_from(source, arrows) for source, target in pairs)
    assert len(arrows) == len(set(arrows))


def reached_from(package: str, arrows: list[tuple[str, str]]) -> set[str]:
    reached = {package}
    for _ in PACKAGES:
        reached |= {target for source, target in arrows if source in reached}
    return reached


def test_an_import_that_follows_from_others_is_not_drawn() -> None:
    chain = [("flows", "tasks"), ("tasks", "blocks"), ("blocks", "hetzner_cloud")]
    others = [("flows", "blocks"), ("flows", "hetzner_cloud"), ("tasks", "hetzner_cloud")]
    assert drawn([*others, *chain]) == chain


def test_a_file_without_a_docstring_cannot_be_listed() -> None:
    assert summary_of('"""What it is.\n\nMore."""\n') == "What it is."
    with pytest.raises(ValueError, match="docstring"):
        summary_of("import os\n")
