"""Help of every command, without Prefect, and the exit status of a wrong command line."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "": {"protect", "audit", "unprotect", "credentials", "policy", "deploy", "sandbox", "demo", "playground"},
    "protect": {"--project", "--label-selector", "--dry-run", "--timeout-seconds", "--policy"},
    "audit": {"--project", "--label-selector", "--grace-hours", "--fail-on-unprotected", "--policy"},
    "unprotect": {"ID", "--project", "--reason", "--hours", "--no-approval", "--timeout-seconds"},
    "credentials": {"save", "delete"},
    "credentials save": {"NAME", "--endpoint", "--replace"},
    "credentials delete": {"NAME", "--yes"},
    "policy": {"save", "show", "check"},
    "policy save": {"NAME", "FILE", "--replace"},
    "policy show": {"NAME", "--project"},
    "policy check": {"FILE", "--project", "--offline"},
    "deploy": {"PREFECT_API_URL"},
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
