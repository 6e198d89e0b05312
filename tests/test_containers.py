"""The image and the composition: what they copy, publish and require."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import prefect
import pytest
import yaml

from flows import __path__ as flow_folders
from playground.server import WORKER_LIMIT, WORKER_QUERY_SECONDS
from tests.support.composition import read_services

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSITION = (ROOT / "compose.yaml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
FILLED = re.sub(r"=$", "=filled", EXAMPLE, flags=re.MULTILINE)
COPIED = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
IMAGE = f"docker.io/prefecthq/prefect:{prefect.__version__}-python3.13"

ReadConfig = Callable[[str, str], "subprocess.CompletedProcess[str]"]


def test_the_image_has_every_package_that_a_run_or_the_command_imports() -> None:
    imported = {
        name
        for folder in COPIED
        for file in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE)
    }
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert imported & packages <= COPIED
    assert packages - COPIED == {"benchmarks", "tests"}


def test_building_the_image_imports_every_flow() -> None:
    [folder] = flow_folders
    flows = {f"flows.{file.stem}" for file in Path(folder).glob("[!_]*.py")}
    [imported] = re.findall(r"python -c 'import (.*)'", DOCKERFILE)
    assert set(imported.split(", ")) == flows


def test_what_the_image_copies_is_all_that_is_sent_to_build_it() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    files = re.findall(r"^COPY ([\w. ]+) \./$", DOCKERFILE, re.MULTILINE)[0].split()
    assert sent == COPIED | set(files)
    assert not any(fnmatch(".env", pattern) for pattern in sent)


def test_server_and_worker_have_the_prefect_that_is_tested() -> None:
    services = read_services()
    assert services["server"]["image"] == IMAGE
    assert f"ARG PREFECT_IMAGE={IMAGE}\n" in DOCKERFILE


def test_nothing_is_published_beyond_loopback_and_no_process_is_root_s() -> None:
    published = [port for service in read_services().values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:4200:4200"]
    assert DOCKERFILE.index("\nUSER ") > DOCKERFILE.rindex("\nRUN ")


def test_the_worker_of_the_image_has_a_limit() -> None:
    assert f'"--limit", "{WORKER_LIMIT}"]' in DOCKERFILE


def test_the_worker_of_the_composition_polls_as_often_as_measured() -> None:
    environment = read_services()["worker"]["environment"]
    assert environment["PREFECT_WORKER_QUERY_SECONDS"] == WORKER_QUERY_SECONDS


@pytest.mark.parametrize("name", ["PREFECT_AUTH_STRING", "POSTGRES_PASSWORD", "PREFECT_ENCRYPTION_KEY"])
def test_a_secret_has_an_example_and_no_default_that_works(name: str) -> None:
    assert re.findall(rf"^{name}=(.*)$", EXAMPLE, re.MULTILINE) == [""]
    used = re.findall(rf"\${{{name}([^}}]*)}}", COMPOSITION)
    assert used
    assert all(found.startswith(":?") for found in used)


def test_the_server_uses_the_database_and_the_user_that_are_made() -> None:
    services = read_services()
    made, used = services["database"]["environment"], services["server"]["environment"]
    same = {"DB": "NAME", "USER": "USER", "PASSWORD": "PASSWORD"}
    for mine, its in same.items():
        assert made[f"POSTGRES_{mine}"] == used[f"PREFECT_SERVER_DATABASE_{its}"]
    assert used["PREFECT_SERVER_DATABASE_HOST"] in services


@pytest.fixture(scope="module")
def compose() -> list[str]:
    """The command of Docker Compose, of which an old one does not know the key `name`."""
    plugin = ["docker", "compose"]
    if (
        shutil.which("docker")
        and not subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode
    ):
        return plugin
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("Docker Compose is not installed")


@pytest.fixture
def config(compose: list[str], tmp_path: Path) -> ReadConfig:
    """Let Docker Compose read a composition, with an `.env`."""

    def read(composition: str, variables: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "compose.yaml").write_text(
            composition
            if compose[0] == "docker"
            else re.sub(r"^name: .*$", "", composition, flags=re.MULTILINE)
        )
        (tmp_path / ".env").write_text(variables)
        return subprocess.run(
            [*compose, "config"],
            cwd=tmp_path,
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            capture_output=True,
            text=True,
            check=False,
        )

    return read


def test_compose_accepts_the_composition_and_a_worker_waits_for_what_it_needs(config: ReadConfig) -> None:
    done = config(COMPOSITION, FILLED)
    assert (done.returncode, done.stderr) == (0, "")
    services = yaml.safe_load(done.stdout)["services"]
    assert services.keys() == read_services().keys()
    waits = {name: on["condition"] for name, on in services["worker"]["depends_on"].items()}
    assert waits == {"server": "service_healthy", "deploy": "service_completed_successfully"}
    assert services["server"]["environment"]["PREFECT_UI_API_URL"] == "http://127.0.0.1:4200/api"


def test_compose_starts_nothing_with_the_example_as_it_is(config: ReadConfig) -> None:
    done = config(COMPOSITION, EXAMPLE)
    assert done.returncode != 0
    assert "copy .env.example to .env and edit it" in done.stderr


@pytest.mark.parametrize(("key", "misspelt"), [("depends_on", "depends-on"), ("healthcheck", "healtcheck")])
def test_compose_rejects_the_composition_where_a_key_is_misspelt(
    config: ReadConfig, key: str, misspelt: str
) -> None:
    assert key in COMPOSITION
    done = config(COMPOSITION.replace(key, misspelt), FILLED)
    assert done.returncode != 0
    assert misspelt in done.stderr
