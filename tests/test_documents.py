"""What the documents name is there: the tests of each promise, and the files and sections of each link."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    named = set(re.findall(r"\btests/[\w/]+\.py\b", document.read_text()))
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_to_a_file_and_a_section(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = document.parent / file if file else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), target


def test_every_promise_names_a_test_or_a_section_with_its_command() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    table = text.partition("## Promises")[2].partition("## What is not promised")[0]
    promises = [line.strip("| ").rpartition(" | ") for line in table.splitlines() if line.startswith("| ")][
        1:
    ]
    sections = {anchor.replace("-", " ") for anchor in anchors_of(ROOT / "docs" / "reliability.md")}
    assert len(promises) > 20
    for promise, _, held_by in promises:
        assert promise
        for part in held_by.split(", "):
            words = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", part)
            assert words in sections or re.fullmatch(r"`tests/[\w/]+\.py`", words), (promise, part)


def test_no_server_of_the_readme_asks_a_question_when_it_is_started() -> None:
    started = re.findall(r"prefect.* server start", (ROOT / "README.md").read_text())
    assert started
    assert all("--no-prompt" in command for command in started)


def test_every_deployment_says_what_it_does_and_only_the_internal_one_is_called_internal() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    described = {(each["entrypoint"], each["name"]): each["description"] for each in deployments}
    assert len(set(described.values())) == len(deployments)
    internal = [name for (_, name), text in described.items() if text.startswith("Internal: ")]
    assert internal == ["batch"]
    assert "the page Artifacts" not in " ".join(described.values())  # the UI has no such menu entry
