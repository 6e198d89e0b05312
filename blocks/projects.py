"""Which projects a run covers: those named, or every saved credentials block."""

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import SecretStr, ValidationError

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.config import DEFAULT_ENDPOINT
from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection.error_info import ErrorInfo

LOGGER = logging.getLogger("hetzner_cloud")

ENVIRONMENT = "environment"
_PAGE = 200
_MAX_CONCURRENT_LOADS = 10


@dataclass(frozen=True)
class Project:
    """A project by its name, with its credentials or the reason why they cannot be used."""

    name: str
    credentials: HetznerCloudCredentials | None = None
    error: ErrorInfo | None = None


async def load_projects(names: Sequence[str] = (), *, deployed: bool) -> list[Project]:
    """Load the credentials blocks with these names, or every saved one if no name is given.

    With no saved block at all and `HCLOUD_TOKEN` (and perhaps `HCLOUD_ENDPOINT`) in the environment, a run
    that belongs to no deployment gets those under the project name `environment`; so it does where blocks are
    saved, if that is the one name it requests. A deployed run never does.

    Args:
        names: Block names; each is loaded once.
        deployed: Whether the run belongs to a deployment.

    Returns:
        The projects in the order of the names, or alphabetically; one with an invalid block has an `error`.

    Raises:
        InvalidArgumentError: There is no such block, or none at all; the message lists those that exist.
    """
    async with get_client() as client:
        known = await _saved_names(client)
        if not known or (list(names) == [ENVIRONMENT] and ENVIRONMENT not in known):
            return [_from_environment(names, known, deployed=deployed)]
        chosen = _select(names, known)
        if os.environ.get("HCLOUD_TOKEN") and not deployed:
            LOGGER.warning("HCLOUD_TOKEN is set and not used: taking the saved %s.", _quoted(names or known))
        limiter = asyncio.Semaphore(_MAX_CONCURRENT_LOADS)
        return await asyncio.gather(*(_load(name, client, limiter) for name in chosen))


async def find_projects(names: Sequence[str] = ()) -> list[str]:
    """Find the names of the saved credentials blocks that a run covers, without their tokens.

    Args:
        names: Block names; empty: every saved one.

    Raises:
        InvalidArgumentError: There is no such block, or none at all.
    """
    async with get_client() as client:
        known = await _saved_names(client)
    if not known:
        raise _nothing_saved_error(deployed=True)
    return _select(names, known)


def _select(names: Sequence[str], known: Sequence[str]) -> list[str]:
    if unknown := [name for name in names if name not in known]:
        raise _unknown_project_error(unknown, known)
    return list(dict.fromkeys(names or known))


async def _saved_names(client: PrefectClient) -> list[str]:
    slug = HetznerCloudCredentials.get_block_type_slug()
    names: set[str] = set()
    while True:  # a self-hosted server returns all at once, Prefect Cloud in pages
        try:
            page = await client.read_block_documents_by_type(
                slug, offset=len(names), limit=_PAGE, include_secrets=False
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code == 404:  # the block type is not registered yet
                return []
            raise
        found = {document.name for document in page if document.name and not document.is_anonymous}
        if len(page) != _PAGE or found <= names:
            return sorted(names | found)
        names |= found


async def _load(name: str, client: PrefectClient, limiter: asyncio.Semaphore) -> Project:
    try:
        async with limiter:
            return Project(name, await HetznerCloudCredentials.aload(name, client=client))
    except RuntimeError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        details = error.__cause__.errors(include_input=False, include_url=False)
        text = "; ".join(str(detail["msg"]) for detail in details)
    message = f"the credentials block '{name}' is not valid: {text} Mend it on the Blocks page of the UI"
    return Project(name, error=ErrorInfo(code="invalid_credentials", message=message))


def _from_environment(names: Sequence[str], known: Sequence[str], *, deployed: bool) -> Project:
    token = os.environ.get("HCLOUD_TOKEN", "")
    if deployed or not token or set(names) - {ENVIRONMENT}:
        raise _unknown_project_error(names, known) if known else _nothing_saved_error(deployed=deployed)
    try:
        credentials = HetznerCloudCredentials(
            token=SecretStr(token), endpoint=os.environ.get("HCLOUD_ENDPOINT") or DEFAULT_ENDPOINT
        )
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        text = "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in details)
        raise InvalidArgumentError(f"HCLOUD_TOKEN or HCLOUD_ENDPOINT cannot be used: {text}") from None
    LOGGER.info("Taking HCLOUD_TOKEN of the environment as the project '%s'.", ENVIRONMENT)
    return Project(ENVIRONMENT, credentials)


def _unknown_project_error(names: Sequence[str], known: Sequence[str]) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"No saved Hetzner Cloud Credentials block is named {_quoted(names)}. "
        f"Known projects: {_quoted(known)}."
    )


def _nothing_saved_error(*, deployed: bool) -> InvalidArgumentError:
    return InvalidArgumentError(
        "No Hetzner Cloud Credentials block is saved. Save one for each project on the Blocks page of "
        "the Prefect UI: its name is the project's name."
        + ("" if deployed else " Or set HCLOUD_TOKEN for a run from the shell.")
    )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
