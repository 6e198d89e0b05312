"""What `make deploy` stores between runs: digests of what prefect.yaml described and of what the server had.

Values never enter the record: it is a variable, which everyone who uses the Prefect server can read.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.types import MAX_VARIABLE_VALUE_LENGTH, DateTime
from pydantic import BaseModel, ConfigDict, Field, ValidationError

VARIABLE = "hetzner_snapshot_protection_deployed"
_DIGITS = 8  # a variable holds 5,000 characters, see `excess`

Digests = Mapping[str, str]


class Entry(BaseModel):
    """A deployment: digests of the parts of its description, and of its fields after the last deploy."""

    model_config = ConfigDict(frozen=True)

    described: Digests
    deployed: Digests


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


async def load_record(client: PrefectClient) -> Record:
    """Read the record; an empty one if it is lost or is one of version 0.4.0."""
    variable = await client.read_variable_by_name(VARIABLE)
    if variable is None:
        return Record()
    try:
        return Record.model_validate(variable.value).model_copy(update={"saved": variable.updated})
    except ValidationError:
        return Record(automation="" if _had_trigger(variable.value) else None)


def _had_trigger(value: object) -> bool:
    """Whether 0.4.0 created the automation, so that it was deleted if it is missing now."""
    return isinstance(value, dict) and any(
        "triggers" in parts for parts in value.values() if isinstance(parts, dict)
    )


def excess(record: Record) -> int:
    """By how many bytes a record is larger than what a variable holds; not above 0 if it fits."""
    sample = record.model_copy(update={"automation": UUID(int=0)})
    return len(sample.model_dump_json().encode()) - MAX_VARIABLE_VALUE_LENGTH


async def save_record(client: PrefectClient, change: Callable[[Record], Record]) -> None:
    """Change what is stored now: another deploy may have saved its part since ours was read."""
    changed = change(await load_record(client)).model_dump(mode="json")
    try:
        await client.create_variable(VariableCreate(name=VARIABLE, value=changed))
    except ObjectAlreadyExists:
        await client.update_variable(VariableUpdate(name=VARIABLE, value=changed))


def digest(value: object) -> str:
    """Reduce a JSON value to a few characters, from which it cannot be read back."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]
