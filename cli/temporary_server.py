"""The temporary Prefect server of a run from the shell, where PREFECT_API_URL is not set."""

import atexit
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO, NoReturn

from prefect.settings import get_current_settings

from cli.endings import CommandFailedError

_MAX_NAMES = 8


class _ServerEndedError(Exception):
    """The server's process ended while it was started."""


def start_temporary_server() -> None:
    """Start the server that Prefect would start later, and end with it; what it prints is for errors only.

    Raises:
        CommandFailedError: It did not start; names the variables that can be the cause.
    """
    _check_home()
    _bypass_proxies()
    from prefect.server.api.server import SubprocessASGIServer  # takes seconds; needed nowhere else

    with tempfile.TemporaryFile() as log:
        try:
            with _standard_error_to(log), _ended_processes_noticed():
                server = SubprocessASGIServer()  # from now on this is the one that Prefect itself takes
                run = server._run_uvicorn_command  # noqa: SLF001 - nothing public has its process
                setattr(server, run.__name__, lambda: _ending_with_us(run()))
                server.start()
        except _ServerEndedError:
            raise CommandFailedError(f"{_FAILED} ({_last_line(log)}). {_causes()}") from None
        except RuntimeError:  # it did not respond in time
            seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
            raise CommandFailedError(
                f"{_FAILED} within {seconds} s. Set PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS to "
                f"more, or start one yourself (prefect server start) and set PREFECT_API_URL. {_causes()}"
            ) from None


_FAILED = "The temporary Prefect server did not start"


def _check_home() -> None:
    home = get_current_settings().home
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise CommandFailedError(
            f"PREFECT_HOME: no file can be written to {home} ({error.strerror}), where a temporary "
            "Prefect server stores its database. Set PREFECT_HOME to a folder that you can write to, or "
            "PREFECT_API_URL."
        ) from None


def _bypass_proxies() -> None:
    """No proxy leads to this machine's loopback, and few users name it in NO_PROXY."""
    hosts = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    if hosts != "*":
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, [hosts, "127.0.0.1"]))


def _ending_with_us(server: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """Have a shell end it once this process is gone: even one that is killed closes its pipes."""
    nothing = subprocess.DEVNULL
    watcher = subprocess.Popen(  # noqa: S603 - our own arguments
        ["/bin/sh", "-c", 'read -r _; kill "$1"', "sh", str(server.pid)],
        stdin=subprocess.PIPE,
        stdout=nothing,  # who reads what we print must see its end
        stderr=nothing,
        start_new_session=True,  # Ctrl-C is for us
    )
    atexit.register(watcher.wait)
    atexit.register(watcher.kill)  # runs before that, and after Prefect has ended the server
    return server


@contextmanager
def _standard_error_to(log: BinaryIO) -> Iterator[None]:
    """For the process that is started while this lasts; our own messages have a descriptor of their own."""
    kept = os.dup(2)
    os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _ended_processes_noticed() -> Iterator[None]:
    """Prefect waits until its time is over, also for a server that has ended."""
    before = signal.signal(signal.SIGCHLD, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


def _raise(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _ServerEndedError


def _last_line(log: BinaryIO) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    line = next((line.strip()[:300] for line in reversed(lines) if "Error" in line), "it printed no reason")
    return re.sub(r"//[^/\s]*@", "//…@", line)  # a database's password


def _causes() -> str:
    names = [name for name in os.environ if name.startswith(("PREFECT_SERVER_", "PREFECT_HOME"))]
    return f"These variables are set for it: {', '.join(names[:_MAX_NAMES])}." if names else ""
