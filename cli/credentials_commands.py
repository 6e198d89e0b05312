"""The command group `credentials`."""

from typing import Annotated

from cyclopts import App, Parameter

from cli.help_examples import EXAMPLES
from cli.parameter_types import Json

credentials = App(name="credentials", help="Save, check and delete the API tokens of projects.")

Endpoint = Annotated[str, Parameter(metavar="URL")]


@credentials.command(help_epilogue=EXAMPLES["credentials save"])
def save(name: str, /, *, endpoint: Endpoint = "", replace: bool = False) -> int:
    """Save the token of a project: the prompt shows no input; the token is tried, and never printed.

    Takes the token from HCLOUD_TOKEN, if that is set.

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


@credentials.command(name="import", help_epilogue=EXAMPLES["credentials import"])
def import_(
    file: Annotated[str, Parameter(metavar="FILE", allow_leading_hyphen=True)],
    /,
    *,
    endpoint: Endpoint = "",
    replace: bool = False,
    json: Json = False,
) -> int:
    """Save the tokens of many projects: each is tried, and saved if it works.

    Saves nothing if a line cannot be used. Exit status 0 only if each token works and is saved.

    Args:
        file: the file with lines name=token; - is standard input
        endpoint: the API's base URL for all of them, unless it is Hetzner's
        replace: give projects that are saved their new tokens
        json: print the result as JSON
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.credentials_import import import_credentials
        from cli.prefect_server import ensure_server

        ensure_server()
        return import_credentials(file, endpoint=endpoint, replace=replace, as_json=json)


@credentials.command(name="list", help_epilogue=EXAMPLES["credentials list"])
def list_(*, json: Json = False) -> int:
    """List the saved projects, without a request to Hetzner.

    Exit status 0 only if each can be read.

    Args:
        json: print the result as JSON
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.credentials_check import list_credentials
        from cli.prefect_server import ensure_server

        ensure_server()
        return list_credentials(as_json=json)


@credentials.command(help_epilogue=EXAMPLES["credentials check"])
def check(*names: Annotated[str, Parameter(metavar="NAME")], json: Json = False) -> int:
    """Try saved tokens, each with one request that changes nothing.

    Exit status 0 only if each works. Write access cannot be checked without making a change.

    Args:
        names: the names of projects; without it: every saved one
        json: print the result as JSON
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.credentials_check import check_credentials
        from cli.prefect_server import ensure_server

        ensure_server()
        return check_credentials(names, as_json=json)


@credentials.command(help_epilogue=EXAMPLES["credentials delete"])
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
