"""Standard streams that never end a run: a closed one, a reader that exited, a missing character."""

import io
import os
import sys
from typing import TextIO


class _Output(io.FileIO):
    """What cannot be written is lost: protecting goes on when the reader of its output has left."""

    def write(self, data: object, /) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]  # bytes, as from every BufferedWriter
        except OSError:
            return len(data)  # type: ignore[arg-type]


def prepare_streams() -> None:
    """Replace standard output and error by streams that never raise, and a closed input by an empty one.

    They write to duplicates of the file descriptors, so that what child processes inherit can be redirected
    without losing what this process prints.
    """
    _open_missing_descriptors()
    if sys.stdin is None:  # it was closed when this process started
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = _tolerant(sys.stdout, errors="replace")
    sys.stderr = _tolerant(sys.stderr, errors="backslashreplace")


def _open_missing_descriptors() -> None:
    """Or the first file or connection would take the place of a closed standard stream."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor < 3:
        os.set_inheritable(descriptor, True)
        descriptor = os.dup(descriptor)
    os.close(descriptor)


def _tolerant(stream: TextIO | None, *, errors: str) -> TextIO:
    if stream is None:  # it was closed when this process started
        return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, write_through=True)
    stream.flush()
    raw = _Output(os.dup(stream.fileno()), "w")
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream is sys.stderr or stream.isatty(),
    )
