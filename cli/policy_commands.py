"""The command group `policy`."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from cli.help_examples import EXAMPLES
from cli.parameter_types import Json, Projects

policy = App(name="policy", help="Define which snapshots must be protected, and see the effect.")

File = Annotated[Path, Parameter(metavar="FILE")]


@policy.command(help_epilogue=EXAMPLES["policy save"])
def save(name: str, file: File, /, *, replace: bool = False) -> int:
    """Save a policy from a YAML file; the one named `default` applies to every run that names no other.

    Args:
        name: the policy's name, e.g. default
        file: the YAML file with `rules` and `timezone`
        replace: replace the policy that has this name
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.policy import save_policy
        from cli.prefect_server import ensure_server

        ensure_server()
        return save_policy(name, file, replace=replace)


@policy.command(help_epilogue=EXAMPLES["policy show"])
def show(name: str = "default", /, *, projects: Projects = (), json: Json = False) -> int:
    """List the snapshots, and show how many each rule governs and which are exempt.

    Changes nothing. Exit status 0 only if every project could be read.

    Args:
        name: the name of a saved policy (default: default)
        projects: the name of a credentials block; may be repeated; without it: every saved one
        json: print the result as JSON
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.policy import show_policy
        from cli.prefect_server import ensure_server

        ensure_server()
        return show_policy(name, projects, as_json=json)


@policy.command(help_epilogue=EXAMPLES["policy check"])
def check(file: File, /, *, projects: Projects = (), offline: bool = False, json: Json = False) -> int:
    """Check a YAML file, and show what it would mean if it were saved.

    Saves and changes nothing. Exit status 0 only if it is valid, and every project could be read.

    Args:
        file: the YAML file with `rules` and `timezone`
        projects: the name of a credentials block; may be repeated; without it: every saved one
        offline: check the file only; needs neither Prefect nor a token
        json: print the result as JSON
    """
    from cli.prefect_environment import prefect_environment

    with prefect_environment():
        from cli.policy import check_policy
        from cli.prefect_server import ensure_server

        if not offline:
            ensure_server()
        return check_policy(file, projects, offline=offline, as_json=json)
