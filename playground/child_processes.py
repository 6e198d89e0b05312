"""Child processes that end with this one, however it ends: even a process that is killed closes its pipes."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_STOP_SECONDS = 15.0


def start_child(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    output: int | IO[str],
    errors: int | IO[str] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[str]:
    """Start a command as the leader of a session, which is killed as a whole when this process is gone.

    Args:
        command: The program and its arguments.
        folder: Becomes the working directory.
        environment: The whole environment.
        output: Where its standard output goes, as for `subprocess`.
        errors: Where its standard error goes, as for `subprocess`.
        pass_fds: File descriptors that stay open.
    """
    return subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-I", __file__, *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=pass_fds,
    )


def end(process: subprocess.Popen[str]) -> None:
    """End a process that was started so, with all that it started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    for stream in filter(None, (process.stdin, process.stdout)):
        stream.close()


def _become(command: list[str]) -> None:
    """Become the command; a child of it waits for the end of our parent and then kills the whole session."""
    if os.fork() == 0:
        os.closerange(1, os.sysconf("SC_OPEN_MAX"))  # who waits for the end of its output must see it
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _become(sys.argv[1:])
