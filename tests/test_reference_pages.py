"""docs/reference says what the source says: generated where it can be, compared where it cannot."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import hetzner_cloud
from reporting import events
from snapshot_protection.audit_finding import FindingName
from snapshot_protection.audit_report import LABELS
from snapshot_protection.outcomes import MOST_SEVERE_FIRST, OutcomeName
from snapshot_protection.prune_outcomes import PruneOutcomeName
from snapshot_protection.unprotect_report import UnprotectOutcomeName
from tests.support.generated_parts import ROOT, GeneratedPart
from tests.support.import_graph import modules_in
from tests.support.reference_pages import PARTS

REFERENCE = ROOT / "docs" / "reference"
OUTCOMES = (REFERENCE / "outcomes-and-findings.md").read_text()
REGENERATE = "run `python -m tests.support.reference_pages`"
OF_CODES = {"UNKNOWN", "UNREADABLE", "LEFT_UNPROTECTED"}  # constants that hold a code
CODE_PACKAGES = ("snapshot_protection", "blocks", "records", "flows")


def section(page: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)


def names(text: str) -> list[str]:
    return [name for cell in first_cells(text) for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_generated_part_is_what_the_source_says(part: GeneratedPart) -> None:
    assert part.read() == PARTS[part](), REGENERATE


@pytest.mark.parametrize(
    ("title", "literal"),
    [
        ("Outcomes of protection runs", OutcomeName),
        ("Findings of audits", FindingName),
        ("Outcomes of runs that remove protection", UnprotectOutcomeName),
        ("Outcomes of prune runs", PruneOutcomeName),
    ],
)
def test_a_table_has_each_outcome_once(title: str, literal: Any) -> None:
    assert sorted(names(section(OUTCOMES, title))) == sorted(get_args(literal))


def test_the_outcomes_and_findings_are_in_the_order_of_severity() -> None:
    assert names(section(OUTCOMES, "Outcomes of protection runs")) == list(MOST_SEVERE_FIRST)
    assert names(section(OUTCOMES, "Findings of audits")) == list(get_args(FindingName))


def test_a_finding_is_shown_in_the_color_that_the_page_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", section(OUTCOMES, "Findings of audits"), re.MULTILINE)
    assert dict(rows) == {name: shown.partition(" ")[0] for name, shown in LABELS.items()}


def test_the_readme_has_each_outcome_of_a_protection_run() -> None:
    readme = (ROOT / "README.md").read_text()
    assert sorted(names(section(readme, "How it works"))) == sorted(get_args(OutcomeName))


def test_every_code_of_ours_is_listed_and_every_listed_one_exists() -> None:
    listed = set(names(section(OUTCOMES, "Codes")))
    assert set(codes()) <= listed
    text = "\n".join(path.read_text() for name in (*CODE_PACKAGES, "hetzner_cloud") for path in files(name))
    assert not [code for code in listed if f'"{code}"' not in text]


def files(package: str) -> list[Path]:
    return list(modules_in(package).values())


def codes() -> Iterator[str]:
    """Each string that is passed as `code`, and each constant that is."""
    for path in [path for package in CODE_PACKAGES for path in files(package)]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.keyword(arg="code", value=ast.Constant(value=str() as code)) if code:
                    yield code
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() as code)):
                    if name in OF_CODES:
                        yield code


def test_every_event_is_listed_with_its_payload() -> None:
    page = (REFERENCE / "events.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.-]+)` (.+)$", page, re.MULTILINE))
    names_of = {name: str(value) for name, value in vars(events).items() if name.isupper() and name[0] != "_"}
    assert set(rows) == set(names_of.values())
    for function in emitting_functions():
        source = ast.unparse(function)
        [event] = [value for name, value in names_of.items() if re.search(rf"\b{name}\b", source)]
        keys = set(re.findall(r"'(\w+)': ", source))
        assert keys
        assert not [key for key in keys if f"`{key}`" not in rows[event]], event


def emitting_functions() -> list[ast.FunctionDef]:
    tree = ast.parse(Path(str(events.__file__)).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if function.name.startswith("emit_")]


def test_every_error_of_the_client_is_listed() -> None:
    text = (REFERENCE / "errors.md").read_text()
    errors = [name for name in hetzner_cloud.__all__ if name.endswith("Error")]
    assert not [name for name in errors if f"- `{name}`" not in text]
