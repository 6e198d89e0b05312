"""The image of the Dockerfile, built and run without a daemon and without a registry.

It is built on a base without files of its own: programs, Python and packages of this machine are mounted into
it, of the packages only Prefect and what that requires, as in Prefect's image. So nothing is copied or
downloaded, and what the Dockerfile does not copy is missing in the image.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
_BASE, _IMAGE = "localhost/prefect", "localhost/hetzner-snapshot-protection"
_PYTHON = Path("/opt/prefect")  # where the base has its Python
_PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64")


def why_not_here() -> str:
    """Return why no image can be built on this machine, or nothing."""
    if not shutil.which("buildah"):
        return "buildah is not installed"
    if os.geteuid():
        return "buildah mounts this machine's folders for root only"
    if not all(
        shutil.which(name, path="/usr/bin:/usr/sbin") for name in ("sh", "chmod", "env", "unshare", "useradd")
    ):
        return "a program that building the image needs is not in /usr/bin or /usr/sbin"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "root may not mount anything here"
    return ""


def copy_context(folder: Path) -> Path:
    """Copy what is sent to build the image, so that a test can change it."""
    folder.mkdir()
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    for name in [line[1:] for line in lines if line.startswith("!")]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder / name)
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, folder)
    return folder


@dataclass(frozen=True)
class Containers:
    """Images and containers in a storage of their own.

    Attributes:
        folder: Holds the storage and the base's Python.
        mounts: What the containers see of this machine, as options of buildah.
    """

    folder: Path
    mounts: tuple[str, ...]

    def build(self, context: Path) -> "subprocess.CompletedProcess[str]":
        """Build the image from a folder."""
        arguments = [
            "--pull=never",
            "--layers=false",
            f"--build-arg=PREFECT_IMAGE={_BASE}",
            f"--tag={_IMAGE}",
        ]
        return self.buildah("bud", *arguments, *self.mounts, str(context))

    def start(self) -> str:
        """Make a container of the image; returns its name."""
        made = self.buildah("from", "--pull=never", _IMAGE)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def run(
        self, container: str, *command: str, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a container as the image's user, with the network of this machine."""
        variables = [f"--env={name}={value}" for name, value in (environment or {}).items()]
        # By `env`: without a daemon, buildah looks for a program in no folder of the image's PATH.
        program = ["--", "/usr/bin/env", *command]
        return self.buildah("run", "--network=host", *variables, *self.mounts, container, *program)

    def files(self) -> Iterator[Path]:
        """All files that images and containers have."""
        yield from (path for path in (self.folder / "storage" / "vfs" / "dir").rglob("*") if path.is_file())

    def buildah(self, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        places = [f"--root={self.folder / 'storage'}", f"--runroot={self.folder / 'state'}"]
        return subprocess.run(
            ["buildah", *places, "--storage-driver=vfs", command, *arguments],
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
            capture_output=True,
            text=True,
            check=False,
        )


@contextmanager
def containers(folder: Path) -> Iterator[Containers]:
    """A storage with the base; all that it holds is deleted at the end."""
    folder.mkdir()
    _make_python(folder / "python")
    made = Containers(folder, tuple(f"--volume={source}:{target}:ro" for source, target in _mounts(folder)))
    try:
        _make_base(made)
        yield made
    finally:
        made.buildah("rm", "--all")
        shutil.rmtree(folder)


def _make_base(made: Containers) -> None:
    files = made.folder / "files"
    for name in ("etc", "tmp", "usr/local/bin", "var/lib"):
        (files / name).mkdir(parents=True)
    (files / "tmp").chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        (files / name).symlink_to(f"usr/{name}")
    (files / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (files / "etc/group").write_text("root:x:0:\n")
    if Path("/etc/ld.so.cache").exists():
        shutil.copy("/etc/ld.so.cache", files / "etc")
    path = f"PATH={_PYTHON}/bin:/usr/local/bin:/usr/sbin:/usr/bin"
    for command in (
        ("from", "--name=base", "scratch"),
        ("copy", "base", str(files), "/"),
        ("config", f"--env={path}", "base"),
        ("commit", "--rm", "base", _BASE),
    ):
        done = made.buildah(*command)
        assert done.returncode == 0, done.stderr


def _make_python(folder: Path) -> None:
    """Make a virtual environment that has Prefect and what it requires, as links."""
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for entry in {entry for name in _required_by("prefect") for entry in _entries_of(name)}:
        (packages / entry.name).symlink_to(entry)
    command = folder / "bin" / "prefect"
    command.write_text('#!/bin/sh\nexec python -m prefect "$@"\n')
    command.chmod(0o755)


def _required_by(name: str) -> set[str]:
    found: set[str] = set()
    remaining, seen = [Requirement(name)], set()
    while remaining:
        each = remaining.pop()
        if str(each) in seen:
            continue
        seen.add(str(each))
        try:
            requires = distribution(each.name).requires or []
        except PackageNotFoundError:
            continue
        found.add(each.name)
        remaining += [one for one in map(Requirement, requires) if _applies(one, each.extras)]
    return found


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def _entries_of(name: str) -> Iterator[Path]:
    """What a package has put directly into site-packages."""
    found = distribution(name)
    for file in found.files or ():
        if file.parts[0] not in ("..", "__pycache__"):
            yield Path(str(found.locate_file(file.parts[0]))).resolve()


def _mounts(folder: Path) -> Iterator[tuple[str, str]]:
    program = Path(os.path.realpath(sys.executable))
    paths = map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))
    needed = [*_PROGRAMS, sysconfig.get_config_var("LIBDIR") or "/usr/lib", *paths, str(program)]
    yield str(folder / "python"), str(_PYTHON)
    placed: list[Path] = []
    for path in map(Path, dict.fromkeys(needed)):
        if path.exists() and not any(path.is_relative_to(other) for other in placed):
            placed.append(path)
            yield str(path), str(path)
