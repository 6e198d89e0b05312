"""The image and the composition: what they copy, publish and require."""

import re
from fnmatch import fnmatch
from pathlib import Path

import prefect
import pytest

from flows import __path__ as flow_folders
from playground.server import WORKER_LIMIT
from tests.support.composition import read_services

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COPIED = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
IMAGE = f"docker.io/prefecthq/prefect:{prefect.__version__}-python3.13"


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


@pytest.mark.parametrize("name", ["PREFECT_AUTH_STRING", "POSTGRES_PASSWORD", "PREFECT_ENCRYPTION_KEY"])
def test_a_secret_has_an_example_and_no_default_that_works(name: str) -> None:
    example = re.findall(rf"^{name}=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert example in ([""], ["replace-me"], ["admin:replace-me"])
    used = re.findall(rf"\${{{name}([^}}]*)}}", (ROOT / "compose.yaml").read_text())
    assert used
    assert all(not found or found == ":-" or found.startswith(":?") for found in used)
