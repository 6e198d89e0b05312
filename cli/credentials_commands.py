"""The command group `credentials`."""

from typing import Annotated

from cyclopts import App, Parameter

credentials = App(name="credentials", help="Save and delete the API tokens of projects.")


@credentials.command
def save(
    name: str, /, *, endpoint: Annotated[str, Parameter(metavar="URL")] = "", replace: bool = False
) -> int:
    """Save the token of a project: it is asked for without echo, tried, and never printed.

    Args:
        name: the project's name, e.g. prod
        endpoint: the API's base URL, unless it is Hetzner's
        replace: give a project that is saved a new token
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.credentials import save_credentials
        from cli.prefect_server import ensure_server

        ensure_server()
        return save_credentials(name, endpoint=endpoint, replace=replace)


@credentials.command
def delete(name: str, /, *, yes: bool = False) -> int:
    """Delete the token of a project, and confirm that audits of all projects no longer expect it.

    Args:
        name: the project's name, also of one whose block is deleted already
        yes: delete without a prompt
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.credentials import delete_credentials
        from cli.prefect_server import ensure_server

        ensure_server()
        return delete_credentials(name, yes=yes)
