"""Jobs on GitHub and hooks before a commit run what `.ci/run` and `make check` run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
JOBS: dict[str, dict[str, Any]] = CI["jobs"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


def commands_of(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text())
    assert used
    assert not [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)]


def test_the_jobs_may_only_read_and_keep_no_credentials() -> None:
    assert CI["permissions"] == {"contents": "read"}
    assert not [name for name, job in JOBS.items() if "permissions" in job]
    checkouts = [step for job in JOBS.values() for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert [step["with"] for step in checkouts] == [{"persist-credentials": False}] * len(JOBS)


def test_every_job_has_a_timeout() -> None:
    assert not [name for name, job in JOBS.items() if not job.get("timeout-minutes")]


def test_the_jobs_together_run_what_has_to_pass_before_a_change_lands() -> None:
    required = set(re.findall(r"^make .+$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    assert required == {"make check", "make test", "make test-e2e"}
    assert required <= {command for job in JOBS.values() for command in commands_of(job)}


def test_the_tests_run_on_every_supported_python() -> None:
    classifiers = re.findall(
        r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text()
    )
    for name in ("test", "e2e"):
        assert JOBS[name]["strategy"]["matrix"]["python"] == classifiers


def test_the_hooks_are_the_commands_of_make_check_and_download_nothing() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck: ")[2].partition("\n\n")[0]
    [local] = HOOKS
    assert local["repo"] == "local"
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    expected = [
        line.replace("$(BIN)", ".venv/bin") for line in re.findall(r"^\t@(.+)$", recipe, re.MULTILINE)
    ]
    assert [hook["entry"] for hook in local["hooks"]] == expected
