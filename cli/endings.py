"""How a command ends early: with one message, never a traceback, and an exit status for its cause."""

import signal
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class CommandFailedError(Exception):
    """A command cannot go on; the message says why, and names the environment variable that is the cause."""


class TerminatedError(KeyboardInterrupt):
    """A signal other than Ctrl-C asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end what was started, as Ctrl-C does; one that is ignored stays so (`nohup`)."""
    for kind in _SIGNALS:
        if signal.getsignal(kind) != signal.SIG_IGN:
            signal.signal(kind, _raise)


def ignore_signals() -> None:
    """For the last moments, in which what was started is ended."""
    for kind in (signal.SIGINT, *_SIGNALS):
        signal.signal(kind, signal.SIG_IGN)


def exit_status_of(interrupt: BaseException) -> int:
    """Return the exit status by which shells tell which signal ended a process: 128 and its number."""
    return 128 + (getattr(interrupt, "signal", signal.SIGINT))


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    raise TerminatedError(number)
