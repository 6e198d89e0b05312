"""The other end of the supported range: a worker with the oldest Prefect, beside the server of the suite."""

import subprocess
import sys
from pathlib import Path

import pytest

from playground.server import PrefectServer, worker
from tests.support.deployments import AUDIT, FAN_OUT, PROTECT, make_deploy, start, state_of
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.protection_runs import unprotected
from tests.support.token_scan import checkpoint, places_with_the_token

pytestmark = pytest.mark.reliability

OLDEST = "3.7.8"  # README, Compatibility
EXPECTED = [
    "3 of 10 snapshots protected in 2 projects, 7 unprotected",
    "6 of 6 snapshots protected in 1 project (4 newly protected, 2 already protected)",
    "10 of 10 snapshots protected in 2 projects (3 newly protected, 7 already protected)",
    "10 of 10 snapshots protected in 2 projects",
]
README = Path(__file__).parents[2] / "README.md"


def pip_install(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "pip", "install", "--quiet", "--retries", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def older_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the oldest supported Prefect, what that requires, and nothing else."""
    folder = tmp_path_factory.mktemp("older-prefect")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    requirement = f"prefect=={OLDEST}"
    if pip_install(python, "--no-deps", requirement).returncode:
        pytest.skip(f"{requirement} cannot be downloaded: no package registry is reachable")
    done = pip_install(python, requirement)  # from here on a failure is the range's, not the network's
    assert done.returncode == 0, done.stderr
    return str(python)


def test_the_readme_names_the_oldest_worker() -> None:
    assert OLDEST in README.read_text().partition("## Compatibility")[2]


@pytest.mark.usefixtures("nothing_deployed")
async def test_the_oldest_worker_runs_every_deployment(
    older_python: str,
    save_project: SaveProject,
    prefect_api: PrefectServer,
    make_sandbox: MakeSandbox,
    tmp_path: Path,
) -> None:
    prod = make_sandbox(snapshots=6, protected=2, backups=2)
    staging = make_sandbox(snapshots=4, protected=1, first_image_id=200_000_001)
    save_project("prod", prod)
    save_project("staging", staging)
    both = ["prod", "staging"]
    make_deploy(prefect_api)
    with worker(prefect_api, tmp_path, python=older_python):
        audited = await start(AUDIT, projects=both)
        one = await start(PROTECT, projects=["prod"])
        left = len(unprotected(prod)), len(unprotected(staging))
        other = await start(FAN_OUT, projects=both, projects_per_run=1)
        again = await start(AUDIT, projects=both)
    states = [state_of(run) for run in (audited, one, other, again)]
    log = (tmp_path / "worker.log").read_text()
    assert [kind for kind, _ in states] == ["COMPLETED"] * 4, (states, log)
    for (_, message), expected in zip(states, EXPECTED, strict=True):
        assert message
        assert message.startswith(expected)
    assert left == (0, 3)
    checkpoint(prefect_api.log.parent)
    assert not list(places_with_the_token(prefect_api.log.parent))
