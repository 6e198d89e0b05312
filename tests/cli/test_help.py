"""Help of every command, without Prefect, and the exit status of a wrong command line."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cli.app import app

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "": {
        *("protect", "audit", "unprotect", "prune", "credentials", "policy", "deploy"),
        *("sandbox", "demo", "playground", "--install-completion"),
    },
    "protect": {"--project", "--label-selector", "--dry-run", "--timeout-seconds", "--policy", "--json"},
    "audit": {
        "--project",
        "--label-selector",
        "--grace-hours",
        "--fail-on-unprotected",
        "--policy",
        "--json",
    },
    "unprotect": {"ID", "--project", "--reason", "--hours", "--no-approval", "--timeout-seconds", "--json"},
    "prune": {"--project", "--apply", "--quarantine-days", "--max-deletions", "--no-approval", "--json"},
    "credentials": {"save", "import", "list", "check", "delete"},
    "credentials save": {"NAME", "--endpoint", "--replace"},
    "credentials import": {"FILE", "--endpoint", "--replace", "--json", "name=token"},
    "credentials list": {"--json"},
    "credentials check": {"NAME", "--json"},
    "credentials delete": {"NAME", "--yes"},
    "policy": {"save", "show", "check"},
    "policy save": {"NAME", "FILE", "--replace"},
    "policy show": {"NAME", "--project", "--json"},
    "policy check": {"FILE", "--project", "--offline", "--json"},
    "deploy": {"PREFECT_API_URL", "--recreate-automation"},
    "sandbox": {"--port", "--snapshots", "--protected", "--fault"},
    "demo": {"--home"},
    "playground": {"--home", "--port"},
}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def options_in(text: str) -> set[str]:
    return set(re.findall(r"--[a-z-]+", text))


@pytest.mark.parametrize("command", OPTIONS)
def test_every_command_s_help_names_what_it_takes(command: str) -> None:
    done = python("-m", "cli", *command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert not [option for option in OPTIONS[command] if option not in done.stdout]
    assert not [
        option
        for option in options_in(done.stdout)
        if option.startswith(("--no-", "--empty-")) and option not in OPTIONS[command]
    ]


@pytest.mark.parametrize("command", OPTIONS)
def test_help_does_not_import_prefect(command: str) -> None:
    done = python("-X", "importtime", "-m", "cli", *command.split(), "--help")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cyclopts" in imported
    assert "prefect" not in imported


@pytest.mark.parametrize(
    ("module", "command"),
    [("flows.protect_snapshots", "protect"), ("flows.audit_snapshot_protection", "audit")],
)
def test_a_flow_s_module_offers_the_options_of_its_command(module: str, command: str) -> None:
    from_module, from_command = python("-m", module, "--help"), python("-m", "cli", command, "--help")
    assert from_module.returncode == 0
    assert from_module.stdout == from_command.stdout
    assert options_in(from_module.stdout) == OPTIONS[command]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nope", "nope"),
        ("protect prod", "prod"),
        ("protect --no-dry-run", "--no-dry-run"),
        ("audit --grace-hours x", "--grace-hours"),
        ("unprotect", "--project"),
        ("unprotect x --project prod --reason because", "IMAGE_IDS"),
        ("credentials save", "NAME"),
        ("deploy now", "now"),
        ("sandbox --snapshots many", "snapshots"),
        ("playground --port x", "--port"),
    ],
)
def test_the_exit_status_is_2_when_an_argument_is_wrong(line: str, reason: str) -> None:
    done = python("-m", "cli", *line.split())
    assert done.returncode == 2
    assert reason in done.stderr.splitlines()[-1]
    assert not done.stdout


@pytest.mark.parametrize("group", ["", "credentials"])
def test_help_is_an_error_when_no_command_is_given(group: str) -> None:
    done = python("-m", "cli", *group.split())
    assert done.returncode == 2
    assert done.stderr == python("-m", "cli", *group.split(), "--help").stdout
    assert not done.stdout


@pytest.mark.parametrize(
    ("module", "program"), [("sandbox", "python -m sandbox"), ("cli sandbox", "hetzner-snapshots sandbox")]
)
def test_the_sandbox_s_help_names_the_program_that_was_started(module: str, program: str) -> None:
    assert python("-m", *module.split(), "--help").stdout.startswith(f"usage: {program} [-h]")


def test_the_entry_point_of_an_install_is_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [(name, entry_point)] = project["scripts"].items()
    module, _, function = entry_point.partition(":")
    done = python("-c", f"from {module} import {function}; {function}(['--help'])")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {name} COMMAND")


GROUPS = {"", "credentials", "policy", "sandbox"}


@pytest.mark.parametrize("command", sorted(set(OPTIONS) - GROUPS))
def test_the_help_of_every_command_has_examples_of_it_that_can_be_parsed(command: str) -> None:
    console = Console(file=StringIO(), width=80)
    app.help_print(command.split(), console=console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue().partition("Examples:")[2]
    examples = [line.strip() for line in text.splitlines() if line.startswith("  hetzner-snapshots ")]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0].partition(" < ")[0])
        assert words[: 1 + len(command.split())] == ["hetzner-snapshots", *command.split()]
        app.parse_args(words[1:], exit_on_error=False, print_error=False)


def test_every_command_that_reports_prints_json() -> None:
    reporting = {"protect", "audit", "unprotect", "prune", "policy show", "policy check"}
    reporting |= {f"credentials {command}" for command in ("import", "list", "check")}
    assert {command for command, options in OPTIONS.items() if "--json" in options} == reporting


COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
$(complete -p hetzner-snapshots | sed "s/.*-F \\([^ ]*\\).*/\\1/")
echo "${COMPREPLY[*]}"
"""


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (("cred",), {"credentials"}),
        (("credentials", ""), {"save", "import", "list", "check", "delete"}),
        (("protect", "--d"), {"--dry-run"}),
    ],
)
def test_completion_is_installed_and_knows_commands_and_options(
    tmp_path: Path, typed: tuple[str, ...], completed: set[str]
) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/bash"}
    command = [sys.executable, "-m", "cli", "--install-completion", "--shell", "bash"]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    [script] = [path for path in tmp_path.rglob("hetzner-snapshots") if path.is_file()]
    line = ["bash", "-c", COMPLETE, "bash", str(script), "hetzner-snapshots", *typed]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert completed <= set(done.stdout.split())


def test_completion_that_cannot_be_installed_is_one_line(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.touch()
    environment = {**os.environ, "HOME": str(home)}
    command = [sys.executable, "-m", "cli", "--install-completion", "--shell", "bash"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Failed: --install-completion: ")
    assert len(done.stderr.splitlines()) == 1
