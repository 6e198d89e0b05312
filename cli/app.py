"""The command `hetzner-snapshots` and its subcommands.

Only a subcommand that runs imports what it needs: Prefect takes seconds to import, and help needs none of it.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.text import Text

from cli.credentials_commands import credentials
from cli.deploy_command import deploy
from cli.endings import CommandFailedError, exit_status_of, ignore_signals, interrupt_on_signals
from cli.flow_commands import audit, protect, prune, unprotect
from cli.help_examples import EXAMPLES
from cli.notifications_commands import notifications
from cli.output import prepare_streams
from cli.playground_commands import demo, playground, sandbox
from cli.policy_commands import policy

_INSTALL_COMPLETION = "--install-completion"


def _format_error(error: CycloptsError) -> Text:
    return Text(f"Error: {error}")


app = App(
    name="hetzner-snapshots",
    help="Protect every Hetzner Cloud snapshot from deletion, and audit its protection.",
    version_flags=[],
    help_format="plaintext",
    error_console=Console(stderr=True, soft_wrap=True),
    error_formatter=_format_error,
    default_parameter=Parameter(negative=(), show_default=False),  # no --no-dry-run, no --empty-project
    suppress_keyboard_interrupt=False,
)
for _group in (credentials, policy, notifications, sandbox):
    app.command(_group)
for _command in (protect, audit, unprotect, prune, deploy, demo, playground):
    app.command(_command, help_epilogue=EXAMPLES[_command.__name__])
app.register_install_completion_command(
    _INSTALL_COMPLETION, help="Install completion of commands and options for your shell, and exit."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, by default that of this process, and exit with its status.

    Raises:
        SystemExit: Always.
    """
    prepare_streams()
    interrupt_on_signals()
    try:
        _run(sys.argv[1:] if arguments is None else arguments)
    except CommandFailedError as error:
        _fail(f"Failed: {error}", 1)
    except KeyboardInterrupt as error:
        _fail("Interrupted.", exit_status_of(error))
    finally:
        ignore_signals()


def _run(arguments: Sequence[str]) -> None:
    _, apps, rest = app.parse_commands(arguments)
    if not rest and apps[-1].default_command is None:  # a script must not take help for success
        app.help_print(arguments, console=app.error_console)
        sys.exit(2)
    try:
        app(arguments)
    except OSError as error:
        if list(arguments[:1]) != [_INSTALL_COMPLETION]:
            raise
        reason = f"{error.filename} cannot be written ({error.strerror})"
        raise CommandFailedError(f"{_INSTALL_COMPLETION}: {reason}.") from None


def _fail(message: str, status: int) -> None:
    Console(stderr=True, soft_wrap=True).print(Text(message, style="bold red"))
    sys.exit(status)
