"""What needs no Hetzner account: the commands `sandbox`, `demo` and `playground`."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from cli.endings import CommandFailedError, exit_status_of

Home = Annotated[Path, Parameter(show_default=True)]
Port = Annotated[int, Parameter(metavar="N", validator=Number(gte=1, lte=65535))]

_HOMES = Path(__file__).resolve().parent.parent / ".playground"

sandbox = App(
    name="sandbox",
    help="Serve a fake of the image part of the Hetzner Cloud API, for one project, on loopback.",
    help_flags=[],  # its own --help lists its many options
)


@sandbox.default
def _sandbox(*arguments: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]) -> None:
    from sandbox.__main__ import main

    main(arguments, program="hetzner-snapshots sandbox")


def _prepare(home: Path) -> Path:
    """Make a folder that Prefect and its lock beside it can be written to; relative to where the user is."""
    home = home.expanduser().resolve()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (home, home.parent):
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise CommandFailedError(
            f"--home: no files can be written to {home} and its parent folder ({error.strerror})."
        ) from None
    return home


def demo(*, home: Home = _HOMES / "demo") -> int:
    """Protect all snapshots of a sandbox, on a separate Prefect server.

    Args:
        home: the folder for the server's database and log
    """
    from cli.prefect_environment import forget_environment

    home = _prepare(home)
    forget_environment(home)
    from playground.demo import run_demo
    from playground.server import ServerNotStartedError

    try:
        return run_demo(home)
    except ServerNotStartedError as error:
        raise CommandFailedError(str(error)) from None
    except KeyboardInterrupt as error:
        print("Interrupted; the server and the sandbox are stopped.", file=sys.stderr)
        return exit_status_of(error)


def playground(*, home: Home = _HOMES / "ui", port: Port | None = None) -> int:
    """Start everything to try out without a Hetzner account: server, three sandboxes, worker, deployments.

    Args:
        home: the folder for the server's database and the logs; one of an earlier playground is emptied first
        port: the UI's; default: 4200, or a free one if that is taken
    """
    from cli.prefect_environment import forget_environment

    home = _prepare(home)
    forget_environment(home)
    from playground.server import ServerNotStartedError
    from playground.stack import run_playground

    try:
        run_playground(home, port)
    except ServerNotStartedError as error:
        raise CommandFailedError(str(error)) from None
    except KeyboardInterrupt as error:
        print("Interrupted; all processes are stopped.", file=sys.stderr)
        return exit_status_of(error)
    return 0
