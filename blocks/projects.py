"""Which projects a run is about: those named, or every saved credentials block."""

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import SecretStr, ValidationError

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.client import DEFAULT_ENDPOINT
from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection.outcomes import ErrorInfo

LOGGER = logging.getLogger("hetzner_cloud")

ENVIRONMENT = "environment"
_PAGE = 200
_LOADED_AT_ONCE = 10


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
    saved, if that is the one name it asks for. A deployed run never does.

    Args:
        names: Block names; each is loaded once.
        deployed: Whether the run belongs to a deployment.

    Returns:
        The projects in the order of the names, or alphabetically; one whose block is not valid has `trouble`.

    Raises:
        InvalidArgumentError: There is no such block, or none at all; says which there are and what to do.
    """
    async with get_client() as client:
        known = await _saved_names(client)
        if not known or (list(names) == [ENVIRONMENT] and ENVIRONMENT not in known):
            return [_from_environment(names, known, deployed=deployed)]
        chosen = _chosen(names, known)
        if os.environ.get("HCLOUD_TOKEN") and not deployed:
            LOGGER.warning("HCLOUD_TOKEN is set and not used: taking the saved %s.", _quoted(names or known))
        places = asyncio.Semaphore(_LOADED_AT_ONCE)
        return await asyncio.gather(*(_load(name, client, places) for name in chosen))


async def find_projects(names: Sequence[str] = ()) -> list[str]:
    """Find the names of the saved credentials blocks that a run is about, without their tokens.

    Args:
        names: Block names; empty: every saved one.

    Raises:
        InvalidArgumentError: There is no such block, or none at all.
    """
    async with get_client() as client:
        known = await _saved_names(client)
    if not known:
        raise _nothing_saved(deployed=True)
    return _chosen(names, known)


def _chosen(names: Sequence[str], known: Sequence[str]) -> list[str]:
    if unknown := [name for name in names if name not in known]:
        raise _unknown(unknown, known)
    return list(dict.fromkeys(names or known))


async def _saved_names(client: PrefectClient) -> list[str]:
    slug = HetznerCloudCredentials.get_block_type_slug()
    names: set[str] = set()
    while True:  # a server of one's own answers all at once, Prefect Cloud in pages
        try:
            page = await client.read_block_documents_by_type(
                slug, offset=len(names), limit=_PAGE, include_secrets=False
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code == 404:  # nobody has registered the block type yet
                return []
            raise
        found = {document.name for document in page if document.name and not document.is_anonymous}
        if len(page) != _PAGE or found <= names:
            return sorted(names | found)
        names |= found


async def _load(name: str, client: PrefectClient, places: asyncio.Semaphore) -> Project:
    try:
        async with places:
            return Project(name, await HetznerCloudCredentials.aload(name, client=client))
    except RuntimeError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        faults = error.__cause__.errors(include_input=False, include_url=False)
        text = "; ".join(str(fault["msg"]) for fault in faults)
    message = f"the credentials block '{name}' is not valid: {text} Mend it on the Blocks page of the UI"
    return Project(name, error=ErrorInfo(code="invalid_credentials", message=message))


def _from_environment(names: Sequence[str], known: Sequence[str], *, deployed: bool) -> Project:
    token = os.environ.get("HCLOUD_TOKEN", "")
    if deployed or not token or set(names) - {ENVIRONMENT}:
        raise _unknown(names, known) if known else _nothing_saved(deployed=deployed)
    try:
        credentials = HetznerCloudCredentials(
            token=SecretStr(token), endpoint=os.environ.get("HCLOUD_ENDPOINT") or DEFAULT_ENDPOINT
        )
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        text = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in faults)
        raise InvalidArgumentError(f"HCLOUD_TOKEN or HCLOUD_ENDPOINT cannot be used: {text}") from None
    LOGGER.info("Taking HCLOUD_TOKEN of the environment as the project '%s'.", ENVIRONMENT)
    return Project(ENVIRONMENT, credentials)


def _unknown(names: Sequence[str], known: Sequence[str]) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"No saved Hetzner Cloud Credentials block is named {_quoted(names)}. "
        f"Known projects: {_quoted(known)}."
    )


def _nothing_saved(*, deployed: bool) -> InvalidArgumentError:
    return InvalidArgumentError(
        "No Hetzner Cloud Credentials block is saved. Save one for each project on the Blocks page of "
        "the Prefect UI: its name is the project's name."
        + ("" if deployed else " Or set HCLOUD_TOKEN for a run from the shell.")
    )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
