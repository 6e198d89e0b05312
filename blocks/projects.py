"""Which projects a run covers: those named, or every saved credentials block."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import BlockDocument
from pydantic import SecretStr, ValidationError

from blocks.credentials import ENVIRONMENT, HetznerCloudCredentials
from blocks.project_errors import (
    UNKNOWN,
    UNREADABLE,
    invalid_credentials,
    name_is_reserved,
    no_longer_saved,
    nothing_saved,
    quoted,
    unknown_project,
    unknown_projects,
    unreadable_credentials,
)
from blocks.saved_blocks import (
    SavedBlocks,
    Unreadable,
    read_named_blocks,
    read_saved_blocks,
)
from hetzner_cloud.config import DEFAULT_ENDPOINT
from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection.error_info import ErrorInfo

LOGGER = logging.getLogger(__name__)

_BLOCK_NAME = re.compile(r"[a-z0-9-]+")  # as Prefect allows; others must not become part of an address
_UNREADABLE = "unreadable block"  # and a number, where the name cannot be read; no name has a blank


@dataclass(frozen=True)
class Project:
    """A project by its name, with its credentials or the reason why they cannot be used.

    Attributes:
        is_saved: Whether there is a credentials block of that name, usable or not.
    """

    name: str
    credentials: HetznerCloudCredentials | None = None
    error: ErrorInfo | None = None
    is_saved: bool = False

    @property
    def keeps_history(self) -> bool:
        """Whether runs at different times are about the same project; `HCLOUD_TOKEN` may be any one's."""
        return self.name != ENVIRONMENT


async def load_projects(
    names: Sequence[str] = (), *, deployed: bool, known: Mapping[str, datetime] | None = None
) -> list[Project]:
    """Load the credentials blocks with these names, or every saved one if no name is given.

    Named ones are loaded whatever others there are. What cannot be used has an `error` and stops no other.

    `HCLOUD_TOKEN` (and perhaps `HCLOUD_ENDPOINT`) of the environment is the project `environment`, for a run
    that belongs to no deployment: if it is named, or if no name is given and no block is saved.

    Args:
        names: Block names; each is loaded once.
        deployed: Whether the run belongs to a deployment.
        known: If no name is given, the projects that are expected, each with the time when its block was last
            seen: one whose block is no longer saved is returned with an error.

    Returns:
        The projects in the order of the names, or alphabetically.

    Raises:
        InvalidArgumentError: There is no block with any of these names, or none at all.
    """
    async with get_client() as client:
        if names:
            projects = await _load_named(client, list(dict.fromkeys(names)), deployed=deployed)
        else:
            projects = await _load_every(client, known or {}, deployed=deployed)
    if os.environ.get("HCLOUD_TOKEN") and not deployed and all(one.keeps_history for one in projects):
        saved = quoted([one.name for one in projects if one.is_saved])
        LOGGER.warning("HCLOUD_TOKEN is set but not used; using the saved %s.", saved or "projects")
    return projects


async def find_projects(names: Sequence[str] = ()) -> list[str]:
    """Find the names of the saved credentials blocks that a run covers, without their tokens.

    One that is not saved, or cannot be read, is among them: `load_projects` returns its error.

    Args:
        names: Block names; empty: every saved one.

    Raises:
        InvalidArgumentError: There is no block with any of these names, or none at all.
    """
    async with get_client() as client:
        saved = await read_saved_blocks(client, include_secrets=False)
    available = [name for name in saved.names if name != ENVIRONMENT]
    if not (names or saved.names or saved.unreadable):
        raise nothing_saved(deployed=True)
    if names and not saved.unreadable and not set(names) & set(available):
        raise unknown_projects(names, available)
    placeholders = [f"{_UNREADABLE} {number}" for number in range(1, len(saved.unreadable) + 1)]
    return list(dict.fromkeys(names or [*saved.names, *placeholders]))


async def find_saved_names() -> list[str]:
    """Find the names of all saved credentials blocks, as far as they can be read."""
    async with get_client() as client:
        return (await read_saved_blocks(client, include_secrets=False)).names


async def _load_named(client: PrefectClient, names: Sequence[str], *, deployed: bool) -> list[Project]:
    projects = await _load_each(client, names, deployed=deployed)
    unknown = [one.name for one in projects if one.error and one.error.code == UNKNOWN]
    if not unknown:
        return projects
    available = await _available(client)
    if len(unknown) == len(projects):
        raise unknown_projects(unknown, available)
    return [
        Project(one.name, error=unknown_project(one.name, available)) if one.name in unknown else one
        for one in projects
    ]


async def _load_every(
    client: PrefectClient, known: Mapping[str, datetime], *, deployed: bool
) -> list[Project]:
    saved = await read_saved_blocks(client, include_secrets=True)
    projects = [project_from_document(document) for document in saved.documents]
    absent = await _load_each(client, sorted(set(known) - set(saved.names)), deployed=True)
    projects += [_or_missing(one, known[one.name]) for one in absent]
    projects += _unnamed(saved, absent)
    if not (saved.documents or saved.unreadable) and _has_token(deployed=deployed):
        projects.append(_from_environment())
    if not projects:
        raise nothing_saved(deployed=deployed)
    return sorted(projects, key=lambda one: one.name)


async def _load_each(client: PrefectClient, names: Sequence[str], *, deployed: bool) -> list[Project]:
    valid = [name for name in names if name != ENVIRONMENT and _BLOCK_NAME.fullmatch(name)]
    found = await read_named_blocks(client, valid)
    return [_load(name, found.get(name), deployed=deployed) for name in names]


def _load(name: str, found: BlockDocument | Unreadable | None, *, deployed: bool) -> Project:
    if name == ENVIRONMENT and _has_token(deployed=deployed):
        return _from_environment()
    match found:
        case Unreadable():
            return Project(name, error=unreadable_credentials(found, name), is_saved=True)
        case BlockDocument():
            return project_from_document(found)
        case _ if name.startswith(_UNREADABLE):
            return Project(name, error=unreadable_credentials(Unreadable("it could not be listed")))
        case _:
            return Project(name, error=ErrorInfo(code=UNKNOWN))


def project_from_document(document: BlockDocument) -> Project:
    """Make the project of a saved block, with an error if the block cannot be used."""
    name = document.name or ""
    if name == ENVIRONMENT:
        return Project(name, error=name_is_reserved())
    try:
        return Project(name, HetznerCloudCredentials.from_document(document), is_saved=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, it stops no other project
        return Project(name, error=invalid_credentials(name, error), is_saved=True)


def _or_missing(project: Project, last_seen: datetime) -> Project:
    if project.error and project.error.code == UNKNOWN:
        return Project(project.name, error=no_longer_saved(project.name, last_seen))
    return project


def _unnamed(saved: SavedBlocks, absent: Sequence[Project]) -> list[Project]:
    """Return a project for each block whose name is not known, neither from a listing nor from before."""
    unnamed = list(saved.unreadable)
    for one in absent:
        if unnamed and one.error and one.error.code == UNREADABLE:
            unnamed.remove(next((each for each in unnamed if _may_be(each, one.name)), unnamed[0]))
    return [
        Project(f"{_UNREADABLE} {number}", error=unreadable_credentials(each))
        for number, each in enumerate(unnamed, 1)
    ]


def _may_be(unreadable: Unreadable, name: str) -> bool:
    return unreadable.before < name and (not unreadable.after or name < unreadable.after)


async def _available(client: PrefectClient) -> list[str] | None:
    """Return the names of the saved blocks; None if they cannot be listed."""
    try:
        saved = await read_saved_blocks(client, include_secrets=False)
    except Exception:  # noqa: BLE001 - it is only for a message
        return None
    return [name for name in saved.names if name != ENVIRONMENT]


def _has_token(*, deployed: bool) -> bool:
    return bool(os.environ.get("HCLOUD_TOKEN")) and not deployed


def _from_environment() -> Project:
    try:
        credentials = HetznerCloudCredentials(
            token=SecretStr(os.environ["HCLOUD_TOKEN"]),
            endpoint=os.environ.get("HCLOUD_ENDPOINT") or DEFAULT_ENDPOINT,
        )
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        text = "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in details)
        raise InvalidArgumentError(f"HCLOUD_TOKEN or HCLOUD_ENDPOINT cannot be used: {text}") from None
    LOGGER.info("Using HCLOUD_TOKEN as the project '%s'.", ENVIRONMENT)
    return Project(ENVIRONMENT, credentials)
