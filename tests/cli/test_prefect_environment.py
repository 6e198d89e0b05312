"""Whatever the environment sets, a command names the variable, and help always works."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.prefect_environment import forget_environment
from tests.support.shell import ROOT

INVALID = {"PREFECT_LOGGING_LEVEL": "foo"}
SECRET = "not-to-be-printed"
FILES = {
    "invalid.toml": 'active = "x\n[prof',
    "level.toml": 'active = "a"\n[profiles.a]\nPREFECT_LOGGING_LEVEL = "foo"\n',
    "key.toml": 'active = "a"\n[profiles.a]\nPREFECT_API_KEY = 3\n',
    "logging.yml": "handlers: [",
}
COMMANDS = ["protect", "audit", "credentials save prod", "deploy"]


def run(
    *command: str, folder: Path, environment: dict[str, str], stdin: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    """In a new home, without any variable but the given ones."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"PREFECT_LOGGING_LEVEL": SECRET}, ["PREFECT_LOGGING_LEVEL: Input should be 'DEBUG'"]),
        (
            {"PREFECT_API_REQUEST_TIMEOUT": SECRET},
            ["PREFECT_API_REQUEST_TIMEOUT: Input should be a valid number"],
        ),
        ({"PREFECT_CLIENT_CUSTOM_HEADERS": SECRET}, ["PREFECT_CLIENT_CUSTOM_HEADERS"]),
        ({"PREFECT_API_URL": f"http://user:{SECRET}@["}, ["PREFECT_API_URL"]),
        (
            {"PREFECT_PROFILE": "missing"},
            ["PREFECT_PROFILE: there is no profile 'missing'", "ephemeral, local"],
        ),
        ({"PREFECT_PROFILES_PATH": "FOLDER/invalid.toml"}, ["PREFECT_PROFILES_PATH", "invalid.toml"]),
        ({"PREFECT_PROFILES_PATH": "FOLDER/level.toml"}, ["PREFECT_LOGGING_LEVEL (in", "level.toml"]),
        ({"PREFECT_PROFILES_PATH": "FOLDER/key.toml"}, ["PREFECT_API_KEY (in", "key.toml"]),
        ({"PREFECT_PROFILES_PATH": "FOLDER"}, ["PREFECT_PROFILES_PATH", "Is a directory"]),
        ({"PREFECT_LOGGING_SETTINGS_PATH": "FOLDER/logging.yml"}, ["PREFECT_LOGGING_SETTINGS_PATH"]),
        ({"SSL_CERT_FILE": "FOLDER/nothing.pem"}, ["SSL_CERT_FILE", "No such file"]),
        ({"SSL_CERT_FILE": "FOLDER/logging.yml"}, ["SSL_CERT_FILE"]),
        ({"HTTP_PROXY": f"http://user:{SECRET}@127.0.0.1:99999"}, ["HTTP_PROXY"]),
        ({"https_proxy": "127.0.0.1:99999"}, ["https_proxy"]),
        ({"ALL_PROXY": "nonsense://127.0.0.1"}, ["ALL_PROXY"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_variable_is_named_and_no_value_when_prefect_cannot_be_started_with_it(
    tmp_path: Path, environment: dict[str, str], named: Sequence[str]
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    environment = {name: value.replace("FOLDER", str(tmp_path)) for name, value in environment.items()}
    done = run("cli", "protect", folder=tmp_path, environment=environment)
    assert_one_message(done)
    assert not [each for each in named if each not in done.stderr]
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "flows.protect_snapshots",
        *(
            pytest.param(command, marks=pytest.mark.e2e)  # a process each, of the same code
            for command in ("flows.audit_snapshot_protection", *COMMANDS)
        ),
    ],
)
def test_every_command_names_it(tmp_path: Path, command: str) -> None:
    line = [command] if command.startswith("flows.") else ["cli", *command.split()]
    done = run(*line, folder=tmp_path, environment=INVALID)
    assert_one_message(done)
    assert "PREFECT_LOGGING_LEVEL" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "",
        *(
            pytest.param(command, marks=pytest.mark.e2e)
            for command in (*COMMANDS, "sandbox", "demo", "playground", "credentials")
        ),
    ],
)
def test_help_needs_no_valid_environment(tmp_path: Path, command: str) -> None:
    environment = {**INVALID, "SSL_CERT_FILE": "/nothing", "PYTHONIOENCODING": "ascii", "COLUMNS": "40"}
    done = run("cli", *command.split()[:2], "--help", folder=tmp_path, environment=environment)
    assert done.returncode == 0
    assert "sage: hetzner-snapshots" in done.stdout
    assert not done.stderr


def test_a_new_user_is_told_how_to_go_on(tmp_path: Path) -> None:
    done = run("cli", "protect", "--dry-run", folder=tmp_path, environment={})
    assert done.returncode == 1
    for way in ("export HCLOUD_TOKEN", "PREFECT_API_URL=", "credentials save NAME", "hetzner-snapshots demo"):
        assert way in done.stderr
    assert "Starting temporary server" not in done.stderr


def test_a_home_whose_parent_does_not_exist_yet_is_no_warning(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    done = run("cli", "protect", folder=tmp_path, environment={"PREFECT_HOME": str(home)})
    assert done.stderr.startswith("Failed: there is no API token yet.")


def test_the_demo_takes_nothing_of_the_user_s_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in ("PREFECT_API_URL", "PREFECT_LOGGING_LEVEL", "https_proxy", "NO_PROXY", "SSL_CERT_FILE"):
        os.environ[name] = "foo"
    forget_environment(tmp_path)
    assert "foo" not in os.environ.values()
    assert os.environ["PREFECT_HOME"] == str(tmp_path)


def assert_one_message(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith("Failed: ")
    assert done.stdout == ""
