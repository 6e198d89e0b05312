"""Saving a token from the shell: it is requested without echo, tried, and never printed."""

import asyncio
import os
import re
import sys
from contextlib import suppress
from getpass import getpass
from typing import Any

import httpx
from prefect.settings import get_current_settings
from pydantic import SecretStr, ValidationError

from blocks.credentials import HetznerCloudCredentials
from blocks.projects import Project, load_projects
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError
from hetzner_cloud.unreadable_entries import UnreadableActionsError


def save_credentials(name: str, *, endpoint: str = "", replace: bool = False) -> int:
    """Save a credentials block; returns the exit status, 0 only if it was saved."""
    try:
        asyncio.run(save(name, endpoint=endpoint, replace=replace))
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        return _fail("; ".join(str(detail["msg"]) for detail in details))
    except HetznerCloudError as error:
        return _fail(str(error))
    except httpx.TransportError as error:
        url = get_current_settings().api.url
        return _fail(f"No Prefect server answers at {url} ({type(error).__name__}).")
    except (KeyboardInterrupt, EOFError):
        return _fail("Interrupted.")
    return 0


async def save(name: str, *, endpoint: str = "", replace: bool = False) -> None:
    """Try a token with one request that changes nothing, then save it as a credentials block.

    Args:
        name: The project's name: small letters, digits and dashes.
        endpoint: The API's base URL, by default the saved block's, else Hetzner's.
        replace: Whether an existing block of that name may be replaced.

    Raises:
        InvalidArgumentError: The name is invalid or already exists, or there is no terminal to prompt for
            the token.
        HetznerCloudError: The token was rejected, or could not be tried; nothing was saved.
    """
    _validate_name(name)
    existing = await _load_existing(name)
    if existing and not replace:
        raise InvalidArgumentError(
            f"The project '{name}' is saved already. To give it a new token: --replace."
        )
    settings = _settings_of(existing) | ({"endpoint": endpoint} if endpoint else {})
    credentials = HetznerCloudCredentials(token=SecretStr(_read_token(name)), **settings)
    async with credentials.get_client() as client:
        with suppress(UnreadableActionsError):  # the token was accepted
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


async def _load_existing(name: str) -> Project | None:
    try:
        [project] = await load_projects([name], deployed=True)
    except InvalidArgumentError:  # there is none of that name
        return None
    return project


def _settings_of(existing: Project | None) -> dict[str, Any]:
    if existing is None or existing.credentials is None:
        return {}
    return existing.credentials.model_dump(include={"endpoint", "rate_limit_reserve"})


def _read_token(name: str) -> str:
    if token := os.environ.get("HCLOUD_TOKEN"):
        print("Taking the token from HCLOUD_TOKEN.")
        return token
    if not sys.stdin.isatty():
        raise InvalidArgumentError("Nobody can be asked for the token here: set HCLOUD_TOKEN.")
    return getpass(f"API token of the project '{name}' (it is not shown): ").strip()


def _fail(text: str) -> int:
    print(f"Not saved: {text}", file=sys.stderr)
    return 1
