"""What `make deploy` stores between runs: digests of what prefect.yaml described and of what the server had.

Values never enter the record: it is a variable, which everyone who uses the Prefect server can read. It is
stored compressed, since a variable holds 5,000 characters.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Literal
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.types import MAX_VARIABLE_VALUE_LENGTH, DateTime
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

VARIABLE = "hetzner_snapshot_protection_deployed"
_DIGITS = 8
_MARGIN = 100  # random digests compress a little differently each time
# How many names a part has: of a parameter a path, of a schedule the slug and what is described of it.
_MIN_NAMES = {"tags": 2, "parameters": 2, "job_variables": 2, "schedules": 3}

Digests = Mapping[str, str]


class Entry(BaseModel):
    """A deployment: digests of the parts of its description, and of its fields after the last deploy."""

    model_config = ConfigDict(frozen=True)

    described: Digests
    deployed: Digests

    @field_validator("described")
    @classmethod
    def _check_parts(cls, described: Digests) -> Digests:
        for key in described:
            names = json.loads(key)  # an invalid one raises a ValueError, too
            if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
                raise ValueError(f"{key} is not part of a description")
            if len(names) < _MIN_NAMES.get(names[0], 1):
                raise ValueError(f"{key} is too short")
        return described


class Record(BaseModel):
    """What is stored of all deployments.

    Attributes:
        format: Which kind of record it is; version 0.4.0 wrote none.
        automation: The id of the automation; None if it was never created, "" if it was deleted before its id
            was stored.
        deployments: By name.
        saved: When it was last saved, by the server's clock; not stored itself.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[2] = 2
    automation: UUID | Literal[""] | None = None
    deployments: Mapping[str, Entry] = Field(default_factory=dict)
    saved: DateTime | None = Field(default=None, exclude=True)

    @field_validator("deployments", mode="before")
    @classmethod
    def _drop_invalid(cls, deployments: object) -> object:
        """Treat an entry that another user has edited as lost, and no other."""
        if not isinstance(deployments, Mapping):
            return deployments
        return {name: entry for name, entry in deployments.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    try:
        Entry.model_validate(entry)
    except ValidationError:
        return False
    return True


async def load_record(client: PrefectClient) -> Record:
    """Read the record; an empty one if it is lost or is one of version 0.4.0."""
    variable = await client.read_variable_by_name(VARIABLE)
    if variable is None:
        return Record()
    try:
        return Record.model_validate(_unpack(variable.value)).model_copy(update={"saved": variable.updated})
    except ValidationError:
        return Record(automation="" if _had_trigger(variable.value) else None)


def _had_trigger(value: object) -> bool:
    """Whether 0.4.0 created the automation, so that it was deleted if it is missing now."""
    return isinstance(value, dict) and any(
        "triggers" in parts for parts in value.values() if isinstance(parts, dict)
    )


def _pack(record: Record) -> str:
    return base64.b64encode(zlib.compress(record.model_dump_json().encode(), 9)).decode()


def _unpack(value: object) -> object:
    if not isinstance(value, str):
        return value  # as it was stored before it was compressed
    try:
        return json.loads(zlib.decompress(base64.b64decode(value)))
    except (ValueError, zlib.error):
        return None


def excess(record: Record) -> int:
    """By how many bytes a record may be larger than what a variable holds; not above 0 if it always fits.

    Digests that are the same compress well. What operators set can make each a different one.
    """
    numbers = count()
    entries = {
        name: Entry(
            described=_with_other_digests(entry.described, numbers),
            deployed=_with_other_digests(entry.deployed, numbers),
        )
        for name, entry in record.deployments.items()
    }
    largest = record.model_copy(update={"automation": uuid4(), "deployments": entries})
    return len(json.dumps(_pack(largest))) + _MARGIN - MAX_VARIABLE_VALUE_LENGTH


def _with_other_digests(digests: Digests, numbers: Iterator[int]) -> Digests:
    return {key: digest(next(numbers)) for key in digests}


async def save_record(client: PrefectClient, change: Callable[[Record], Record]) -> None:
    """Change what is stored now: another deploy may have saved its part since ours was read."""
    changed = _pack(change(await load_record(client)))
    try:
        await client.create_variable(VariableCreate(name=VARIABLE, value=changed))
    except ObjectAlreadyExists:
        await client.update_variable(VariableUpdate(name=VARIABLE, value=changed))


def digest(value: object) -> str:
    """Reduce a JSON value to a few characters, from which it cannot be read back."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]
