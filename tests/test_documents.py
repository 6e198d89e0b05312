"""What the documents name is there: files and sections of links, tests, and the commands to type."""

import re
from pathlib import Path

import prefect
import prefect.cli._app as prefect_cli
import pytest
import yaml

from cli.app import app
from tests.support.guide_commands import pages, section, simple_commands, typed_commands
from tests.support.import_graph import modules

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*pages(), ROOT / "SECURITY.md"]
INDEX = ROOT / "docs" / "README.md"
OF_THE_SHELL = {"source", "read", "export", "git", "cd", "cp", "chmod", "rm", "umask"}
OF_THE_SYSTEM = {"apt", "install", "tee", "systemctl", "psql", "createdb", "dropdb"}
RUN_BY = {  # each command that a guide names, and the file that runs it, or compares it with what runs
    "make install": "Makefile",  # every target needs it
    "make test": ".ci/run",
    "make demo": "tests/playground/test_demo.py",
    "make deploy": "tests/support/deployments.py",
    "make clean": "tests/test_documents.py",
    "hetzner-snapshots protect": "tests/support/shell.py",
    "hetzner-snapshots audit": "tests/cli/test_flow_commands.py",
    "hetzner-snapshots credentials save": "tests/cli/test_credentials.py",
    "hetzner-snapshots credentials delete": "tests/cli/test_credentials.py",
    "hetzner-snapshots policy check": "tests/cli/test_policy.py",
    "hetzner-snapshots policy save": "tests/cli/test_policy.py",
    "hetzner-snapshots policy show": "tests/cli/test_policy.py",
    "hetzner-snapshots unprotect": "tests/support/unprotect_runs.py",
    "hetzner-snapshots prune": "tests/e2e/test_prune.py",
    "hetzner-snapshots deploy": "tests/deploy/test_deploy_automation.py",
    "hetzner-snapshots sandbox": "tests/sandbox/test_server.py",
    "hetzner-snapshots credentials import": "tests/cli/test_credentials_import.py",
    "hetzner-snapshots credentials check": "tests/cli/test_credentials_check.py",
    "hetzner-snapshots notifications set": "tests/cli/test_notifications.py",
    "hetzner-snapshots notifications test": "tests/cli/test_notifications.py",
    "hetzner-snapshots notifications remove": "tests/cli/test_notifications.py",
    "docker": "tests/test_containers.py",
    "pg_dump": "tests/e2e/test_composition.py",
    "pg_restore": "tests/e2e/test_composition.py",
    "sqlite3": "tests/e2e/test_backup.py",
    "prefect server start": "playground/server.py",
    "prefect worker start": "playground/server.py",
    "prefect work-pool create": "tests/support/deploying.py",
    **dict.fromkeys(
        (
            "prefect deployment run",
            "prefect deployment delete",
            "prefect automation delete",
            "prefect work-pool delete",
            "prefect variable unset",
            "prefect block delete",
        ),
        "tests/e2e/test_deployment.py",  # which runs them from the guide
    ),
    "python -c": "tests/tasks/test_image_actions.py",
    ".venv/bin/python -m": "Makefile",
}
TYPED = [
    command
    for page in pages()
    for typed in typed_commands(page.read_text())
    for command in simple_commands(typed)
]


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


def test_the_readme_leads_and_does_not_list() -> None:
    assert 100 < len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_index_has_every_page() -> None:
    linked = {
        (INDEX.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", INDEX.read_text())
    }
    assert not {page.name for page in pages() if page != INDEX} - {page.name for page in linked}
    assert {page for page in pages() if page != INDEX} <= linked


def test_no_server_of_a_guide_asks_a_question_when_it_is_started() -> None:
    started = [
        command for command in TYPED if command[0] == "prefect" and command[-2:] == ["server", "start"]
    ]
    assert started
    assert all(command == ["prefect", "--no-prompt", "server", "start"] for command in started)


def test_every_command_of_a_guide_is_run_by_a_test() -> None:
    assert {name_of(command) for command in TYPED} - OF_THE_SHELL - OF_THE_SYSTEM == set(RUN_BY)
    for name, file in RUN_BY.items():
        run = "prefect_calls" if file == "tests/e2e/test_deployment.py" else name.split()[-1]
        assert run in (ROOT / file).read_text(), (name, file)


def name_of(command: list[str]) -> str:
    """The words that say what is run, without those that say on what."""
    program, *rest = command
    if program == "sudo":
        return name_of(rest[2:] if rest[0] == "-u" else rest)
    if program == "hetzner-snapshots":
        chain, _, _ = app.parse_commands(rest)
        return " ".join([program, *chain])
    if program == "prefect":
        chain, _, _ = prefect_cli._app.parse_commands([word for word in rest if word != "--no-prompt"])
        return " ".join([program, *chain])
    return f"{program} {rest[0]}" if program in {"make", "python", ".venv/bin/python"} else program


@pytest.mark.parametrize("command", TYPED, ids=" ".join)
def test_a_command_has_the_options_and_arguments_that_a_document_gives_it(command: list[str]) -> None:
    program, *words = command
    if program == "hetzner-snapshots":
        app.parse_args(words, exit_on_error=False, print_error=False)
    elif program == "prefect":
        words = [word for word in words if word != "--no-prompt"]
        prefect_cli._app.parse_args(words, exit_on_error=False, print_error=False)
    elif program == "make":
        assert f"\n{words[0]}:" in (ROOT / "Makefile").read_text()


def test_an_artifact_has_the_address_that_a_guide_gives_it() -> None:
    guide = (ROOT / "docs" / "deployments.md").read_text()
    assert "http://127.0.0.1:4200/v2/artifacts/key/snapshot-audit-summary" in guide
    routes = {"ui": ["key/:artifactKey"], "ui-v2": ["/artifacts/key/$key", "/artifacts/"]}
    for ui, expected in routes.items():
        assets = Path(str(prefect.__file__)).parent / "server" / ui / "assets"
        source = "".join(file.read_text() for file in assets.glob("index-*.js"))
        assert not [route for route in expected if route not in source]


def test_every_artifact_of_the_guide_has_a_key_of_the_source() -> None:
    table = section("deployments.md", "Find the reports")
    keys = re.findall(r"`([a-z]+-[a-z-]+)(?:<|`)", table)
    source = "".join(path.read_text() for path in modules().values())
    assert len(keys) > 10
    assert not [key for key in keys if key.rstrip("-") not in source]


def test_clean_removes_only_what_other_targets_have_made() -> None:
    [recipe] = re.findall(r"^clean:.*\n\t@rm -rf (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    ignored = [name.rstrip("/") for name in (ROOT / ".gitignore").read_text().split()]
    assert not [name for name in recipe.replace("$(VENV)", ".venv").split() if name not in ignored]


def test_every_deployment_says_what_it_does_and_only_the_internal_one_is_called_internal() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    described = {(each["entrypoint"], each["name"]): each["description"] for each in deployments}
    assert len(set(described.values())) == len(deployments)
    internal = [name for (_, name), text in described.items() if text.startswith("Internal: ")]
    assert internal == ["batch"]
    assert "the page Artifacts" not in " ".join(described.values())  # the UI has no such menu entry
