"""The bounds and the lock: what keeps an install the same tomorrow."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hetzner_cloud import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
REQUIREMENTS = [Requirement(text) for text in [*PROJECT["dependencies"], *EXTRAS]]
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;]+)", LOCK, re.MULTILINE))


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_a_requirement_is_bounded_above_and_locked_within_its_bounds(requirement: Requirement) -> None:
    assert any(bound.operator in {"<", "<=", "=="} for bound in requirement.specifier)
    assert Version(LOCKED[requirement.name.lower()]) in requirement.specifier


def test_every_locked_version_has_hashes() -> None:
    entries = re.split(r"^(?=[a-z0-9._-]+(?:\[[a-z,]+\])?==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(LOCKED)
    assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_the_lock_has_versions_and_hashes_only_and_so_names_no_host() -> None:
    version = r"[a-z0-9._-]+(\[[a-z,]+\])?==[\w.+!]+( ; [\w '<>=.!()]+)? \\"
    digest = r"    --hash=sha256:[0-9a-f]{64}( \\)?"
    assert not [line for line in LOCK.splitlines() if not re.fullmatch(f"{version}|{digest}", line)]


def test_the_package_says_the_version_that_is_released() -> None:
    assert PROJECT["version"] == __version__
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
