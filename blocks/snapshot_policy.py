"""The block that stores a policy, and where a run's policy comes from."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from json import JSONDecodeError
from typing import Any, ClassVar

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from pydantic import Field, HttpUrl, ValidationError

from blocks.missing_objects import is_missing
from blocks.named_block import NamedBlock
from blocks.saved_blocks import describe_read_error
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.sanitize import printable_repr
from snapshot_protection.policy import BUILT_IN, NamedPolicy, Rules, Timezone
from snapshot_protection.policy_parsing import parse_policy

DEFAULT = "default"
_MAX_NAMES = 20


class SnapshotPolicy(NamedBlock):
    """Stores rules: which snapshots must be protected, and which of them retention may delete."""

    _block_type_name = "Snapshot Policy"
    _block_type_slug = "snapshot-policy"
    _description = (
        "Stores rules: which snapshots must be protected, and which of them retention may delete. "
        "The block named 'default' applies to every run that names no other."
    )
    _documentation_url: ClassVar[HttpUrl | None] = HttpUrl(
        "https://docs.hetzner.cloud/reference/cloud#description/label-selector"
    )
    _code_example = """
    ```python
    from blocks.snapshot_policy import SnapshotPolicy

    policy = SnapshotPolicy.load("BLOCK_NAME")
    ```
    """

    rules: Rules = Field(
        default=[],
        title="Rules",
        description="The first rule that matches a snapshot governs it. A snapshot that no rule matches "
        "must be protected.",
    )
    timezone: Timezone = Field(
        default="UTC",
        title="Time zone",
        description="The time zone of days, weeks, months and years, e.g. Europe/Berlin.",
    )

    @classmethod
    def check_name(cls, name: str) -> None:
        """Raise an InvalidArgumentError if no block may be saved under a name."""
        if name == BUILT_IN:
            raise InvalidArgumentError(
                f"The name '{BUILT_IN}' is reserved: reports use it where no policy is saved. "
                "Use another name."
            )


def validate_policy_name(name: object) -> str:
    """Return a policy's name if a block can have it.

    Raises:
        InvalidArgumentError: It is empty, has other characters than Prefect allows, or is reserved.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9-]+", name):
        raise InvalidArgumentError(
            f"A policy's name has only lowercase letters, digits and dashes, not {printable_repr(name)}."
        )
    SnapshotPolicy.check_name(name)
    return name


async def load_policy(name: str = DEFAULT) -> NamedPolicy:
    """Load the saved policy of this name; without one, `default` is the built-in policy, which has no rules.

    Raises:
        InvalidArgumentError: No policy of another name is saved, or the saved one cannot be read or is
            invalid; the message names the rule.
    """
    validate_policy_name(name)
    async with get_client() as client:
        content = await _read(name, client)
        if content is None and name == DEFAULT:
            return NamedPolicy()
        if content is None:
            raise InvalidArgumentError(await _unknown_policy(name, client))
    try:
        return NamedPolicy(name, parse_policy(content))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"The snapshot policy '{name}' cannot be used. {error} Edit it on the Blocks page of the UI, or "
            f"save it again: hetzner-snapshots policy save {name} FILE --replace"
        ) from None


async def _read(name: str, client: PrefectClient) -> Mapping[str, Any] | None:
    try:
        document = await client.read_block_document_by_name(name, SnapshotPolicy.get_block_type_slug())
    except ObjectNotFound as error:
        if is_missing(error):
            return None
        raise _unread(name, "a server other than the Prefect API returned 404") from None
    except (httpx.HTTPError, ValidationError, JSONDecodeError) as error:
        raise _unread(name, describe_read_error(error)) from None
    return document.data


def _unread(name: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The snapshot policy '{name}' could not be read: {reason}. Run it again; if it cannot be decrypted, "
        f"save it again: hetzner-snapshots policy save {name} FILE --replace"
    )


async def _unknown_policy(name: str, client: PrefectClient) -> str:
    names = await _saved_names(client)
    known = f"Available policies: {', '.join(names)}." if names else "None is saved."
    return f"No snapshot policy is named '{name}'. {known}"


async def _saved_names(client: PrefectClient) -> list[str]:
    slug = SnapshotPolicy.get_block_type_slug()
    try:
        saved = await client.read_block_documents_by_type(slug, limit=_MAX_NAMES, include_secrets=False)
    except PrefectHTTPStatusError as error:
        if error.response.status_code == HTTPStatus.NOT_FOUND:  # the block type is not registered yet
            return []
        raise
    return sorted(document.name for document in saved if document.name)
