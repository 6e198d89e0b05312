"""Saving many tokens at once: all lines are validated, then each token is tried, and saved if it works."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectAlreadyExists

from blocks.credentials import HetznerCloudCredentials
from blocks.project_errors import quoted, unreadable_credentials
from blocks.projects import project_from_document
from blocks.saved_blocks import Unreadable, read_saved_block
from cli.credentials import require_endpoint, run_or_fail, settings_of
from cli.credentials_file import ImportedToken, read_tokens
from cli.project_results import ProjectResult, report_each
from cli.token_trial import WRITE_ACCESS, find_rejection
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.validation import validate_endpoint
from records.prefect_errors import describe_prefect_error

_MAX_CONCURRENT_READS = 10


@dataclass(frozen=True)
class _Planned:
    """A project that is to be saved.

    Attributes:
        exists: Whether a block of that name is saved.
        changed: Whether what is saved differs.
    """

    name: str
    credentials: HetznerCloudCredentials
    exists: bool
    changed: bool


def import_credentials(
    source: str, *, endpoint: str = "", replace: bool = False, as_json: bool = False
) -> int:
    """Save the tokens of a file or standard input (`-`); returns the exit status, 0 only if all are saved."""
    return run_or_fail(
        lambda: _import(source, endpoint=endpoint, replace=replace, as_json=as_json),
        "Nothing was saved",
        as_json=as_json,
    )


def _import(source: str, *, endpoint: str, replace: bool, as_json: bool) -> int:
    lines = read_tokens(source)
    if endpoint:
        validate_endpoint(endpoint)
    planned = asyncio.run(_plan(lines, endpoint))
    taken = [one.name for one in planned if one.exists and one.changed]
    if taken and not replace:
        raise InvalidArgumentError(
            f"Already saved with another token or endpoint: {quoted(taken)}. Use --replace to update them."
        )
    return asyncio.run(_save_each(planned, replace=replace, as_json=as_json))


async def _plan(lines: Sequence[ImportedToken], endpoint: str) -> list[_Planned]:
    limiter = asyncio.Semaphore(_MAX_CONCURRENT_READS)

    async def plan(line: ImportedToken) -> _Planned:
        async with limiter, get_client() as client:
            found = await read_saved_block(client, line.name)
        if isinstance(found, Unreadable):
            raise InvalidArgumentError(f"{unreadable_credentials(found, line.name).message}.")
        existing = project_from_document(found) if found else None
        settings = settings_of(existing) | ({"endpoint": endpoint} if endpoint else {})
        require_endpoint(settings)
        wanted = HetznerCloudCredentials(token=line.token, **settings)
        saved = existing.credentials if existing else None
        same = saved is not None and (saved.token, saved.endpoint) == (wanted.token, wanted.endpoint)
        return _Planned(line.name, wanted, exists=found is not None, changed=not same)

    return await asyncio.gather(*map(plan, lines))


async def _save_each(planned: Sequence[_Planned], *, replace: bool, as_json: bool) -> int:
    await (
        HetznerCloudCredentials.aregister_type_and_schema()
    )  # once: saving does it, too, and many do at once
    return await report_each(
        [one.name for one in planned],
        lambda place: _try_and_save(planned[place], replace=replace),
        note=WRITE_ACCESS,
        as_json=as_json,
    )


async def _try_and_save(one: _Planned, *, replace: bool) -> ProjectResult:
    endpoint = one.credentials.endpoint
    if rejection := await find_rejection(one.credentials):
        return ProjectResult(one.name, *rejection, endpoint)
    if not one.changed:
        return ProjectResult(one.name, "saved already", endpoint=endpoint)
    try:
        await one.credentials.asave(one.name, overwrite=replace)
    except ValueError as error:
        if not isinstance(error.__cause__, ObjectAlreadyExists):
            raise
        text = "another user has just saved it; use --replace to update its token"
        return ProjectResult(one.name, "failed", text, endpoint)
    except httpx.HTTPError as error:
        return ProjectResult(one.name, "failed", f"not saved: {describe_prefect_error(error)}", endpoint)
    return ProjectResult(one.name, "saved", endpoint=endpoint)
