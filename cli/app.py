"""The command `hetzner-snapshots` and its subcommands.

Only a subcommand that runs imports what it needs: Prefect takes seconds to import, and help needs none of it.
"""

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.text import Text

from cli.credentials_commands import credentials
from cli.deploy_command import deploy
from cli.flow_commands import audit, protect, unprotect
from cli.playground_commands import demo, playground, sandbox
from cli.policy_commands import policy


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
)
for _command in (protect, audit, unprotect, credentials, policy, deploy, sandbox, demo, playground):
    app.command(_command)
