"""The units in docs/systemd: restarted after a reboot and whenever they exit, with little access."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from prefect.settings import PREFECT_SERVER_UI_STATIC_DIRECTORY

from playground.server import WORKER_LIMIT, WORKER_QUERY_SECONDS
from tests.support.guide_commands import typed_commands

ROOT = Path(__file__).parent.parent
FOLDER = "/opt/hetzner-snapshot-protection"
MAX_EXPOSURE = 3.0  # of 10, as systemd counts
UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))


def read(unit: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False)  # a key may be there twice
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    parser.read_string(unit.read_text())
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_at_boot_and_again_without_a_limit_whenever_it_exits(unit: Path) -> None:
    settings = read(unit)
    assert settings["Install"]["WantedBy"] == "multi-user.target"
    assert settings["Service"]["Restart"] == "always"  # not on-failure: an exit status of 0 is silence, too
    assert settings["Unit"]["StartLimitIntervalSec"] == "0"


def environment_of(unit: Path) -> dict[str, str]:
    """What the unit sets, from all its lines `Environment=`."""
    lines = re.findall(r"^Environment=(.*)$", unit.read_text(), re.MULTILINE)
    pairs = [pair.partition("=") for line in lines for pair in line.split()]
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_has_a_home_and_prefect_writes_only_where_its_user_may(unit: Path) -> None:
    state = f"/var/lib/{read(unit)['Service']['StateDirectory']}"
    environment = environment_of(unit)
    assert {environment["HOME"], environment["PREFECT_HOME"]} == {state}  # a dynamic user has none
    if unit.stem == "prefect-server":
        assert environment[PREFECT_SERVER_UI_STATIC_DIRECTORY.name].startswith(f"{state}/")


def test_the_worker_s_unit_starts_what_the_readme_starts() -> None:
    command = read(ROOT / "docs" / "systemd" / "prefect-worker.service")["Service"]["ExecStart"]
    assert command == f"{FOLDER}/.venv/bin/prefect worker start --pool hetzner-cloud --limit {WORKER_LIMIT}"
    assert command.removeprefix(f"{FOLDER}/.venv/bin/") in (ROOT / "README.md").read_text()


def test_the_worker_s_unit_polls_as_often_as_measured() -> None:
    environment = environment_of(ROOT / "docs" / "systemd" / "prefect-worker.service")
    assert environment["PREFECT_WORKER_QUERY_SECONDS"] == str(WORKER_QUERY_SECONDS)


def test_the_guide_installs_where_the_units_expect_it() -> None:
    guide = (ROOT / "docs" / "production.md").read_text()
    [clone] = [typed for typed in typed_commands(guide) if "git clone" in typed]
    assert clone.split()[-1] == FOLDER
    for unit in UNITS:
        service = read(unit)["Service"]
        assert service["ExecStart"].startswith(f"{FOLDER}/.venv/bin/prefect ")
        secrets = service["EnvironmentFile"].removeprefix("-")
        assert f"/dev/stdin {secrets}" in guide
        assert f"docs/systemd/{unit.name}" in guide


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "prefect").touch(mode=0o755)
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(FOLDER, str(folder)))
    command = ["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, str(tmp_path) in done.stderr) == (0, False), done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_may_do_little(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) < MAX_EXPOSURE


def test_a_stop_leaves_time_to_protect_again_what_a_cancelled_run_has_unprotected() -> None:
    settings = read(ROOT / "docs" / "systemd" / "prefect-worker.service")["Service"]
    assert settings["TimeoutStopSec"] == "3min"
    assert "KillMode" not in settings  # each run gets SIGTERM, too
