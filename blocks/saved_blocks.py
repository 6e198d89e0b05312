"""Reading saved credentials blocks: many in one request or, where one stops that, each by itself."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from pydantic import ValidationError

from blocks.credentials import HetznerCloudCredentials

_PAGE = 200  # as many as Prefect returns at once
_MAX_CONCURRENT_READS = 10
_SLUG = HetznerCloudCredentials.get_block_type_slug()


@dataclass(frozen=True)
class Unreadable:
    """A block that the Prefect API cannot return, e.g. because it cannot decrypt it.

    Attributes:
        reason: What the API returned in place of it.
        before: The name of the block before it, in the order of the names; empty if it is the first.
        after: The name of the block after it; empty if it is the last.
    """

    reason: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class SavedBlocks:
    """All saved credentials blocks: by name, and those of which even the name cannot be read."""

    documents: Sequence[BlockDocument]
    unreadable: Sequence[Unreadable] = ()

    @property
    def names(self) -> list[str]:
        """The names that could be read, each once."""
        return sorted({document.name for document in self.documents if document.name})


async def read_saved_blocks(client: PrefectClient, *, include_secrets: bool) -> SavedBlocks:
    """Read all saved credentials blocks; one that cannot be read costs no other."""
    try:
        return SavedBlocks(await _read_at_once(client, include_secrets=include_secrets))
    except ObjectNotFound:  # the block type is not registered yet
        return SavedBlocks(())
    except (PrefectHTTPStatusError, ValidationError) as error:
        if not _concerns_one(error):
            raise
    found = await _Isolated(client, include_secrets=include_secrets).read()
    documents = [each for each in found if isinstance(each, BlockDocument)]
    return SavedBlocks(documents, list(_with_neighbours(found)))


async def read_saved_block(client: PrefectClient, name: str) -> BlockDocument | Unreadable | None:
    """Read one credentials block by its name, whatever others there are; None if there is none.

    Raises:
        httpx.TransportError: There is no connection to the Prefect server.
    """
    try:
        return await client.read_block_document_by_name(name, _SLUG)
    except ObjectNotFound:
        return None
    except (PrefectHTTPStatusError, ValidationError) as error:
        return Unreadable(describe_read_error(error))


async def read_named_blocks(
    client: PrefectClient, names: Sequence[str]
) -> Mapping[str, BlockDocument | Unreadable]:
    """Read the credentials blocks with these names, whatever others there are; who has none is left out."""
    found: dict[str, BlockDocument | Unreadable] = {}
    for at in range(0, len(names), _PAGE):
        wanted = names[at : at + _PAGE]
        try:
            found |= await _read_together(client, wanted)
        except (httpx.HTTPError, ValueError):  # perhaps because of one of them
            found |= await _read_each(client, wanted)
    return found


async def _read_together(client: PrefectClient, names: Sequence[str]) -> Mapping[str, BlockDocument]:
    wanted: dict[str, object] = {
        "block_documents": {"name": {"any_": list(names)}},
        "block_types": {"slug": {"any_": [_SLUG]}},
        "include_secrets": True,
    }
    response = await client.request("POST", "/block_documents/filter", json=wanted)
    documents = BlockDocument.model_validate_list(response.json())
    return {each.name: each for each in documents if each.name and each.name in names}


async def _read_each(client: PrefectClient, names: Sequence[str]) -> Mapping[str, BlockDocument | Unreadable]:
    limiter = asyncio.Semaphore(_MAX_CONCURRENT_READS)

    async def read(name: str) -> BlockDocument | Unreadable | None:
        async with limiter:
            try:
                return await read_saved_block(client, name)
            except httpx.TransportError as error:
                return Unreadable(describe_read_error(error))

    found = await asyncio.gather(*(read(name) for name in names))
    return {name: each for name, each in zip(names, found, strict=True) if each}


async def _read_at_once(client: PrefectClient, *, include_secrets: bool) -> Sequence[BlockDocument]:
    found: dict[str, BlockDocument] = {}
    while True:  # a self-hosted server returns all at once, Prefect Cloud in pages
        try:
            page = await client.read_block_documents_by_type(
                _SLUG, offset=len(found), limit=_PAGE, include_secrets=include_secrets
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                raise ObjectNotFound(http_exc=error) from error
            raise
        known = len(found)
        found |= {each.name: each for each in page if each.name and not each.is_anonymous}
        if len(page) != _PAGE or len(found) == known:
            return list(found.values())


@dataclass(frozen=True)
class _Isolated:
    """Reads smaller and smaller pages, until what cannot be read is alone on one.

    The server applies offset and limit before it decrypts anything.
    """

    client: PrefectClient
    include_secrets: bool

    async def read(self) -> list[BlockDocument | Unreadable]:
        block_type = await self.client.read_block_type_by_slug(_SLUG)
        wanted: dict[str, object] = {"block_documents": {"block_type_id": {"any_": [str(block_type.id)]}}}
        response = await self.client.request("POST", "/block_documents/count", json=wanted)
        total = int(response.json())
        pages = [
            await self._read_page(wanted, offset, min(_PAGE, total - offset))
            for offset in range(0, total, _PAGE)
        ]
        return [each for page in pages for each in page]

    async def _read_page(
        self, wanted: dict[str, object], offset: int, limit: int
    ) -> list[BlockDocument | Unreadable]:
        page = {"offset": offset, "limit": limit, "include_secrets": self.include_secrets, "sort": "NAME_ASC"}
        try:
            response = await self.client.request("POST", "/block_documents/filter", json=wanted | page)
            return [*BlockDocument.model_validate_list(response.json())]
        except (PrefectHTTPStatusError, ValidationError) as error:
            if not _concerns_one(error):
                raise
            if limit == 1:
                return [Unreadable(describe_read_error(error))]
        half = limit // 2
        first = await self._read_page(wanted, offset, half)
        return first + await self._read_page(wanted, offset + half, limit - half)


def _with_neighbours(found: Sequence[BlockDocument | Unreadable]) -> Iterator[Unreadable]:
    names = [each.name or "" if isinstance(each, BlockDocument) else "" for each in found]
    for place, each in enumerate(found):
        if isinstance(each, Unreadable):
            before = next((name for name in reversed(names[:place]) if name), "")
            after = next((name for name in names[place:] if name), "")
            yield Unreadable(each.reason, before, after)


def _concerns_one(error: PrefectHTTPStatusError | ValidationError) -> bool:
    """Return whether one block can be the cause: the server fails at it, or what it returns is no block."""
    return isinstance(error, ValidationError) or error.response.is_server_error


def describe_read_error(error: Exception) -> str:
    """Describe an error without the address, which may hold a password, and without the block's data."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the Prefect API returned {error.response.status_code}"
    return f"the request to the Prefect API failed: {type(error).__name__}"
