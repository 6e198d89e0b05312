"""The project is installed editable, from a checkout: there is no wheel and no sdist of it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
PROGRAM = """
from hetzner_cloud import ClientConfig, HetznerCloudClient
wrong: int = HetznerCloudClient(ClientConfig(token="")).list_images()
"""


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_no_distribution_is_built(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "only from a checkout: make install" in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_editable_install_is_nothing_but_the_path_of_the_checkout_and_the_command(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["editable"])
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert [archive.read(name).decode() for name in names] == [str(ROOT)]
        [entry_points] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert b"hetzner-snapshots = cli.app:main" in archive.read(entry_points)


def test_no_file_but_a_picture_is_binary() -> None:
    """What a tool leaves in the folder, e.g. a downloaded package, must not be committed with the rest."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    binary = [file.name for file in files if file.is_file() and b"\0" in file.read_bytes()]
    assert {Path(name).suffix for name in binary} == {".png"}


@pytest.mark.e2e
def test_the_clients_types_are_known_to_a_program_outside_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'Argument "token" to "ClientConfig" has incompatible type "str"' in done.stdout
    assert "Coroutine[Any, Any, list[Image]]" in done.stdout
    assert "Found 2 errors" in done.stdout
