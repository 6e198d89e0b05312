"""Saving and deleting tokens from the shell: the prompt hides the token, and nothing prints it."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from getpass import getpass
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import get_current_settings
from pydantic import SecretStr, ValidationError

from blocks.credentials import HetznerCloudCredentials
from blocks.project_errors import unreadable_credentials
from blocks.projects import Project, project_from_document
from blocks.saved_blocks import Unreadable, read_saved_block
from cli.json_output import print_json
from cli.token_trial import try_token
from hetzner_cloud.errors import HetznerCloudError, InvalidArgumentError
from hetzner_cloud.sanitize import printable
from records.known_projects import RecordLostError, load_known_projects, update_known_projects
from records.prefect_errors import describe_prefect_error

_NAME = r"[a-z0-9-]+"


def save_credentials(name: str, *, endpoint: str = "", replace: bool = False) -> int:
    """Save a credentials block; returns the exit status, 0 only if it was saved."""
    return run_or_fail(lambda: save(name, endpoint=endpoint, replace=replace), "Not saved")


def delete_credentials(name: str, *, yes: bool = False) -> int:
    """Delete a credentials block; returns the exit status, 0 only if it is deleted and that is recorded."""
    return run_or_fail(lambda: delete(name, yes=yes), "Not deleted")


def save(name: str, *, endpoint: str = "", replace: bool = False) -> None:
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
    existing = asyncio.run(_load_existing(name))
    if existing and not replace:
        raise _already_saved(name)
    settings = settings_of(existing) | ({"endpoint": endpoint} if endpoint else {})
    require_endpoint(settings)
    # no event loop runs here: in one, the first Ctrl-C would not end the prompt
    credentials = HetznerCloudCredentials(token=SecretStr(_read_token(name)), **settings)
    asyncio.run(_try_and_save(credentials, name, replace=replace))
    print(
        f"Saved the token of the project '{name}': {credentials.endpoint} accepts it for reading.\n"
        "Write access cannot be checked without making a change: a protection run needs Read & Write, an "
        "audit only Read."
    )


def require_endpoint(settings: Mapping[str, object]) -> None:
    """Reject what would send a token elsewhere than the environment says.

    Raises:
        InvalidArgumentError: `HCLOUD_ENDPOINT` is set, and the block would have another endpoint.
    """
    wanted = os.environ.get("HCLOUD_ENDPOINT")
    if wanted and "endpoint" not in settings:
        raise InvalidArgumentError(
            "HCLOUD_ENDPOINT is set, and a saved project uses Hetzner's endpoint unless another is given: "
            f"pass --endpoint {printable(wanted)}, or unset HCLOUD_ENDPOINT."
        )


async def _try_and_save(credentials: HetznerCloudCredentials, name: str, *, replace: bool) -> None:
    await try_token(credentials)
    try:
        await credentials.asave(name, overwrite=replace)
    except ValueError as error:
        if isinstance(error.__cause__, ObjectAlreadyExists):  # saved since it was looked up
            raise _already_saved(name) from None
        raise


def delete(name: str, *, yes: bool = False) -> None:
    """Delete a project's credentials block, if it still exists, and have audits no longer expect the project.

    Args:
        name: The project's name.
        yes: Whether to delete without a prompt.

    Raises:
        InvalidArgumentError: There is no such project, the block cannot be read, or no one confirmed.
    """
    document = asyncio.run(_read_known(name))
    if not yes:  # no event loop runs here, as above
        _confirm(f"Delete the API token of the project '{name}', and stop auditing it?")
    asyncio.run(_delete(name, document))
    print(f"Audits no longer expect the project '{name}', until it is saved again.")


async def _read_known(name: str) -> BlockDocument | None:
    document = await _read_existing(name)
    known = None
    with suppress(RecordLostError):
        known = await load_known_projects()
    if document is None and name not in (known.seen if known else {}):
        raise InvalidArgumentError(f"There is no project '{name}', and no audit has covered it.")
    return document


async def _delete(name: str, document: BlockDocument | None) -> None:
    if document:
        async with get_client() as client:
            with suppress(ObjectNotFound):  # deleted since it was read
                await client.delete_block_document(document.id)
        print(f"Deleted the credentials block '{name}'.")
    # after that: if this stops in between, the next audit reports that the block is missing
    await update_known_projects(lambda recorded: recorded.with_removed(name, datetime.now(UTC)))


def run_or_fail(command: Callable[[], int | None], failed: str, *, as_json: bool = False) -> int:
    """Run a command; returns its exit status, and 1 with one message, which never has a token, if it fails.

    Args:
        command: What to run; without an exit status it has succeeded.
        failed: What the message begins with.
        as_json: Whether to print the failure as JSON, too.
    """
    try:
        return command() or 0
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        reason = "; ".join(str(detail["msg"]) for detail in details)
    except HetznerCloudError as error:
        reason = str(error)
    except httpx.TransportError as error:
        url = get_current_settings().api.url
        reason = f"Cannot reach the Prefect server at {url} ({type(error).__name__})."
    except httpx.HTTPStatusError as error:
        reason = describe_prefect_error(error)
    if as_json:
        print_json(succeeded=False, message=f"{failed}: {reason}")
    print(f"{failed}: {reason}", file=sys.stderr)
    return 1


def _already_saved(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"Project '{name}' already exists; use --replace to update its token.")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidArgumentError("No terminal to prompt for a confirmation; use --yes.")
    if _answer(input, f"{question} [y/N] ").lower() not in {"y", "yes"}:
        raise InvalidArgumentError("not confirmed.")


def _validate_name(name: str) -> None:
    HetznerCloudCredentials.check_name(name)
    if not re.fullmatch(_NAME, name):
        raise InvalidArgumentError(
            f"A project's name has only lowercase letters, digits and dashes, not {name!r}."
        )


async def _load_existing(name: str) -> Project | None:
    document = await _read_existing(name)
    return project_from_document(document) if document else None


async def _read_existing(name: str) -> BlockDocument | None:
    if not re.fullmatch(_NAME, name):
        return None
    async with get_client() as client:
        found = await read_saved_block(client, name)
    if isinstance(found, Unreadable):  # Prefect can neither update nor delete what it cannot decrypt
        raise InvalidArgumentError(f"{unreadable_credentials(found, name).message}.")
    return found


def settings_of(existing: Project | None) -> dict[str, Any]:
    """Return what a project keeps when it gets a new token: all but the token."""
    if existing is None or existing.credentials is None:
        return {}
    return existing.credentials.model_dump(include={"endpoint", "rate_limit_reserve"})


def _read_token(name: str) -> str:
    if token := os.environ.get("HCLOUD_TOKEN"):
        print("Using the token from HCLOUD_TOKEN.")
        return token
    if not sys.stdin.isatty():
        raise InvalidArgumentError("No terminal to prompt for the token: set HCLOUD_TOKEN.")
    token = _answer(getpass, f"API token of the project '{name}' (it is not shown): ")
    if not token:
        raise InvalidArgumentError("no token was entered.")
    return token


def _answer(read: Callable[[str], str], prompt: str) -> str:
    """Prompt on the terminal; the end of the input (Ctrl-D) is an empty line."""
    try:
        return read(prompt).strip()
    except EOFError:
        print()
        return ""
