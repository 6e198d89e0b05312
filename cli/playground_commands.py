"""What needs no Hetzner account: the commands `sandbox`, `demo` and `playground`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

Home = Annotated[Path, Parameter(show_default=True)]

_HOMES = Path(__file__).resolve().parent.parent / ".playground"

sandbox = App(
    name="sandbox",
    help="Serve a fake of the image part of the Hetzner Cloud API, for one project, on loopback.",
    help_flags=[],  # its own --help lists its many options
)


@sandbox.default
def _sandbox(*arguments: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]) -> None:
    from sandbox.__main__ import main

    main(arguments)


def demo(*, home: Home = _HOMES / "demo") -> int:
    """Protect all snapshots of a sandbox, on a Prefect server of the demo's own.

    Args:
        home: the folder for the server's database and log
    """
    from playground.demo import run_demo
    from playground.server import ServerNotStartedError

    _interrupt_on_signals()
    try:
        return run_demo(home)
    except ServerNotStartedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted; the server and the sandbox are ended.")


def playground(
    *, home: Home = _HOMES / "ui", port: Annotated[int | None, Parameter(metavar="N")] = None
) -> None:
    """Everything to click around in, without a Hetzner account: server, two sandboxes, worker, deployments.

    Args:
        home: the folder for the server's database and the logs; it is emptied first
        port: the UI's; default: 4200, or a free one if that is taken
    """
    from playground.server import ServerNotStartedError
    from playground.stack import run_playground

    _interrupt_on_signals()
    try:
        run_playground(home, port)
    except ServerNotStartedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted; all of it is ended.")


def _interrupt_on_signals() -> None:
    """So that what was started ends with this process."""
    for kind in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.default_int_handler)
