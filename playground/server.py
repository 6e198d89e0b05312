"""A real Prefect server on loopback, with a separate home folder, for as long as a context lasts."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import EADDRINUSE
from pathlib import Path
from typing import Any, TextIO
from urllib.error import URLError
from urllib.request import urlopen

from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_SERVER_ANALYTICS_ENABLED

from playground.child_processes import end, start_child

ROOT = Path(__file__).resolve().parent.parent
WORKER_QUERY_SECONDS = 5  # between polls of a worker in production; a poll costs 10 ms of CPU
WORKER_LIMIT = 5  # flow runs at once: each costs 3 to 4 s of CPU to start, and 110 MB
_LOG = "server.log"
_LOOPBACK = "127.0.0.1"
_START_SECONDS = 180.0
_LOCK_SECONDS = 3.0  # the server of one that was killed ends within moments


@dataclass(frozen=True)
class PrefectServer:
    """A running server.

    Attributes:
        ui_url: Where a browser finds it.
        environment: What a process needs in its environment to use it.
        log: The file with what it printed.
    """

    ui_url: str
    environment: Mapping[str, str] = field(repr=False)
    log: Path

    @property
    def settings(self) -> dict[Any, Any]:
        """What this process needs to use it, for `temporary_settings`."""
        return {
            PREFECT_API_URL: self.environment["PREFECT_API_URL"],
            PREFECT_HOME: self.log.parent,
            PREFECT_SERVER_ANALYTICS_ENABLED: False,
        }


class ServerNotStartedError(RuntimeError):
    """There is no server of one's own; says why."""


@contextmanager
def prefect_server(
    home: Path, *, port: int = 0, database_url: str = "", empty_home: bool = False
) -> Iterator[PrefectServer]:
    """Start a Prefect server that keeps everything in `home`, wait until it answers, and end it.

    It ends with this process, also if that is killed.

    Args:
        home: Becomes PREFECT_HOME: database, storage, log.
        port: 0 takes a free one.
        database_url: Where the server keeps what it knows; by default a SQLite database in `home`.
        empty_home: Whether to delete what an earlier server has stored in `home` first.

    Raises:
        ServerNotStartedError: Another server uses `home`, or the port is in use, so that another server would
            respond; or `home`, which would be emptied, holds other files; or the server exited, or did not
            respond in three minutes: names its log.
    """
    with _locked(home) as lock:
        if port:
            _check_port(port)
        if empty_home:
            _empty(home)
        home.mkdir(exist_ok=True)
        with _running(home, port or free_port(), database_url, lock) as server:
            yield server


def _check_port(port: int) -> None:
    try:
        socket.create_server((_LOOPBACK, port)).close()
    except OSError as error:
        used = "is already in use" if error.errno == EADDRINUSE else f"cannot be used ({error.strerror})"
        raise ServerNotStartedError(f"Port {port} {used}.") from None


def _empty(home: Path) -> None:
    """Delete what an earlier server has stored, and nothing else: a wrong path must not cost its files."""
    home.mkdir(exist_ok=True)
    if any(home.iterdir()) and not (home / _LOG).exists():
        raise ServerNotStartedError(
            f"{home} has files that are not from an earlier playground, and would be emptied. Name "
            "another folder."
        )
    for entry in sorted(home.iterdir(), key=lambda entry: entry.name == _LOG):  # last: it is the proof
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


@contextmanager
def _running(home: Path, port: int, database_url: str, lock: TextIO) -> Iterator[PrefectServer]:
    url = f"http://{_LOOPBACK}:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "DO_NOT_TRACK": "1",
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    own = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url} if database_url else {}
    log = home / _LOG
    with log.open("w") as output:
        command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
        process = start_child(
            command,
            ROOT,
            environment | own,
            output=output,
            errors=output,
            pass_fds=[lock.fileno()],  # so it is locked until the server ends, even if we are killed
        )
    try:
        lock.write(str(process.pid))
        lock.flush()
        _wait_until_it_answers(process, url, log)
        yield PrefectServer(url, environment, log)
    finally:
        end(process)


@contextmanager
def _locked(home: Path) -> Iterator[TextIO]:
    """Lock a folder, by a file beside it which then gets the process id of the server."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("a+") as lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                lock.seek(0)
                pid = lock.read() or "unknown"
                raise ServerNotStartedError(
                    f"Another Prefect server (process {pid}) uses {home}. Stop it first."
                )
            time.sleep(0.1)
        lock.truncate(0)
        yield lock


def _try_lock(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def worker(
    server: PrefectServer,
    folder: Path,
    *,
    limit: int = WORKER_LIMIT,
    query_seconds: int = 1,
    python: str = sys.executable,
) -> Iterator[subprocess.Popen[str]]:
    """Run a worker of the pool `hetzner-cloud` in a folder, which gets its log.

    Args:
        server: Whose worker it is.
        folder: Becomes the working directory.
        limit: How many flow runs it takes at once, at most.
        query_seconds: How often it looks for flow runs.
        python: The interpreter of the worker and its runs; its Prefect may be another version.
    """
    command = [python, "-m", "prefect", "worker", "start", "--pool", "hetzner-cloud", "--limit", str(limit)]
    environment = {**server.environment, "PREFECT_WORKER_QUERY_SECONDS": str(query_seconds)}
    with (folder / "worker.log").open("w") as log:
        process = start_child(command, folder, environment, output=log, errors=log)
    try:
        yield process
    finally:
        end(process)


def free_port() -> int:
    """Find a port on loopback that no process listens on."""
    with socket.create_server((_LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether no process listens on a port on loopback."""
    with suppress(OSError), socket.create_server((_LOOPBACK, port)):
        return True
    return False


def _wait_until_it_answers(process: subprocess.Popen[str], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(URLError, OSError), urlopen(f"{url}/api/health", timeout=5):  # noqa: S310 - ours
            return
        time.sleep(0.2)
    raise ServerNotStartedError(f"The Prefect server did not start; see {log}.")
