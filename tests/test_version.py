"""The version: one line in `hetzner_cloud/_version.py`, and one in prefect.yaml, which imports nothing."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml
from pydantic import SecretStr

from hetzner_cloud import ClientConfig, __version__

ROOT = Path(__file__).parent.parent


def test_the_installed_project_has_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dynamic"] == ["version"]
    assert version("hetzner-snapshot-protection") == __version__


def test_every_deployment_has_the_version_from_one_line() -> None:
    text = (ROOT / "prefect.yaml").read_text()
    described = yaml.safe_load(text)
    assert {one["version"] for one in described["deployments"]} == {__version__}
    assert text.count(__version__) == 1


def test_the_user_agent_reports_the_version() -> None:
    assert ClientConfig(SecretStr("t" * 64)).user_agent == f"hetzner-cloud-client/{__version__}"


def test_the_changelog_has_a_section_of_the_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
