"""Saving a token from the shell: it is asked for without echo, tried, and never printed."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from getpass import getpass

import httpx
from prefect.settings import get_current_settings
from pydantic import SecretStr, ValidationError

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project, load_projects
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError


def main(arguments: Sequence[str] | None = None) -> int:
    """Save a credentials block; returns the exit status, 0 only if it was saved."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(save(options.name, endpoint=options.endpoint, replace=options.replace))
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        return _fail("; ".join(str(fault["msg"]) for fault in faults))
    except HetznerCloudError as error:
        return _fail(str(error))
    except httpx.TransportError as error:
        url = get_current_settings().api.url
        return _fail(f"No Prefect server answers at {url} ({type(error).__name__}).")
    except (KeyboardInterrupt, EOFError):
        return _fail("Interrupted.")
    return 0


async def save(name: str, *, endpoint: str | None = None, replace: bool = False) -> None:
    """Try a token with one request that changes nothing, then save it as a credentials block.

    Args:
        name: The project's name: small letters, digits and dashes.
        endpoint: The API's base URL, by default the saved block's, else Hetzner's.
        replace: Whether a block of that name that is there may be replaced.

    Raises:
        InvalidArgumentError: The name cannot be used, there is one already, or nobody is there to be asked.
        HetznerCloudError: The token was refused, or could not be tried; nothing was saved.
    """
    _validate_name(name)
    before = await _saved(name)
    if before and not replace:
        raise InvalidArgumentError(
            f"The project '{name}' is saved already. To give it a new token: --replace."
        )
    known = before.credentials if before else None
    settings = {"endpoint": known.endpoint, "rate_limit_reserve": known.rate_limit_reserve} if known else {}
    settings |= {"endpoint": endpoint} if endpoint else {}
    credentials = HetznerCloudCredentials(token=SecretStr(_ask(name)), **settings)
    async with credentials.get_client() as client:
        await client.list_image_actions(limit=1)
    await credentials.asave(name, overwrite=replace)
    print(
        f"Saved the token of the project '{name}': {credentials.endpoint} accepts it for reading.\n"
        "Whether it may also write cannot be asked: a protection run needs Read & Write, an audit only Read."
    )


def _validate_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise InvalidArgumentError(
            f"A project's name has only small letters, digits and dashes, unlike {name!r}."
        )


async def _saved(name: str) -> Project | None:
    try:
        [project] = await load_projects([name], deployed=True)
    except InvalidArgumentError:  # there is none of that name
        return None
    return project


def _ask(name: str) -> str:
    if token := os.environ.get("HCLOUD_TOKEN"):
        print("Taking the token from HCLOUD_TOKEN.")
        return token
    if not sys.stdin.isatty():
        raise InvalidArgumentError("Nobody can be asked for the token here: set HCLOUD_TOKEN.")
    return getpass(f"API token of the project '{name}' (it is not shown): ").strip()


def _fail(text: str) -> int:
    print(f"Not saved: {text}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m blocks.credentials", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("save", help="save the token of a project", description=__doc__)
    command.add_argument("name", metavar="NAME", help="the project's name, e.g. prod")
    command.add_argument("--endpoint", metavar="URL", help="the API's base URL, unless it is Hetzner's")
    command.add_argument("--replace", action="store_true", help="give a project that is saved a new token")
    return parser
