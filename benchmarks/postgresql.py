"""A PostgreSQL server on loopback, with a new cluster, for as long as a context lasts."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playground.server import free_port

_START_SECONDS = 60.0
_USER = "postgres"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Make a cluster in a folder, which is emptied, and serve it.

    Yields:
        The URL of its database, as the Prefect server takes it.

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start.
    """
    binaries = _binaries()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        _let_in(folder)
    data, port = folder / "data", free_port()
    _run(binaries / "initdb", "--pgdata", data, "--username", _USER, "--auth", "trust", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    control = (binaries / "pg_ctl", "--pgdata", data, "--wait", "--timeout", f"{_START_SECONDS:.0f}")
    _run(*control, "--log", folder / "log", "--options", options, "start")
    try:
        yield f"postgresql+asyncpg://{_USER}@127.0.0.1:{port}/postgres"
    finally:
        _run(*control, "--mode", "immediate", "stop")


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    raise RuntimeError("PostgreSQL is not installed: sudo apt-get install postgresql")


def _let_in(folder: Path) -> None:
    owner = pwd.getpwnam(_USER)
    os.chown(folder, owner.pw_uid, owner.pw_gid)


def _run(*command: str | Path) -> None:
    as_user = ["runuser", "-u", _USER, "--"] if os.geteuid() == 0 else []
    words: Sequence[str] = [*as_user, *map(str, command)]
    done = subprocess.run(  # noqa: S603 - our own arguments
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, cwd="/"
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
