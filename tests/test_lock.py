"""The bounds and the lock: what keeps an install the same tomorrow."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PYPROJECT["dependency-groups"]
INCLUDED = {one["include-group"] for one in GROUPS["dev"]}
DEVELOPMENT = [line for name in sorted(INCLUDED) for line in GROUPS[name]]
REQUIREMENTS = [Requirement(line) for line in [*PYPROJECT["project"]["dependencies"], *DEVELOPMENT]]
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


def test_the_group_that_is_locked_includes_all_others() -> None:
    assert GROUPS.keys() == {"dev", *INCLUDED}
    assert "--group build/lock/pyproject.toml:dev" in (ROOT / "Makefile").read_text()


def test_uv_leaves_the_environment_and_the_lock_of_make_alone() -> None:
    assert PYPROJECT["tool"]["uv"] == {"managed": False}
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()
    assert not (ROOT / "uv.lock").exists()
