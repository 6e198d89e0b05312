"""The automations of `docs/automations`: all created for one notification block, updated, removed together.

Most send notifications, two mark dead flow runs as Crashed. `set_block` makes them as they are described
there. Whether one is enabled stays the operator's.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import yaml
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import BlockDocument
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound

from deploy.automation import delete_automation
from hetzner_cloud.errors import InvalidArgumentError

FOLDER = Path(__file__).parent.parent / "docs" / "automations"
_PLACEHOLDER = "BLOCK_DOCUMENT_ID"
_NO_BLOCK = UUID(int=0)
_SUBJECT = "Test notification of hetzner-snapshots"
_BODY = "This block receives what hetzner-snapshot-protection reports: see docs/automations."


@dataclass(frozen=True)
class Done:
    """What was done with an automation, or how it is, in words."""

    name: str
    what: str


def read_descriptions(block_document_id: UUID = _NO_BLOCK) -> list[AutomationCore]:
    """Read the automations of `docs/automations`; those that send notifications send them to one block."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))]
    files = [yaml.safe_load(text.replace(_PLACEHOLDER, str(block_document_id))) for text in texts]
    return [
        AutomationCore.model_validate(described)
        for file in files
        for described in file.get("automations", [file])  # as `prefect automation create` takes them
    ]


async def set_block(client: PrefectClient, block: str) -> AsyncIterator[Done]:
    """Create what is missing, and update what exists; yields each as it is done.

    Args:
        client: Of the server.
        block: The notification block, as `type/name`.

    Raises:
        InvalidArgumentError: There is no such block, or it sends no notifications; nothing was changed.
    """
    document = await find_block(client, block)
    for described in read_descriptions(document.id):
        yield Done(described.name, await _ensure(client, described))


async def list_automations(client: PrefectClient) -> AsyncIterator[Done]:
    """Yield for each automation whether it exists, is enabled, and where it sends to or what it does."""
    for described in read_descriptions():
        found = await _find(client, described.name)
        states = [f"{_state(one)}, {await _describe_actions(client, one)}" for one in found]
        yield Done(described.name, "; ".join(states) or "missing")


async def remove_automations(client: PrefectClient) -> AsyncIterator[Done]:
    """Delete them; yields each that there was."""
    for described in read_descriptions():
        for found in await _find(client, described.name):
            await delete_automation(client, found.id)
            yield Done(described.name, "deleted")


async def find_blocks_in_use(client: PrefectClient) -> list[str]:
    """Return the blocks that the automations send to, as `type/name`."""
    found = [one for described in read_descriptions() for one in await _find(client, described.name)]
    return sorted({await _describe(client, block_id) for one in found for block_id in _blocks_of(one)})


async def send_test(client: PrefectClient, block: str) -> None:
    """Send a notification to a block.

    Raises:
        InvalidArgumentError: There is no such block, or it sends no notifications.
        Exception: As the block raises where it could not be sent.
    """
    document = await find_block(client, block, include_secrets=True)
    loaded = Block._from_block_document(document)  # noqa: SLF001 - load() takes one class only
    if not isinstance(loaded, NotificationBlock):
        raise _no_notification_block(block)
    with loaded.raise_on_failure():
        await loaded.notify(body=_BODY, subject=_SUBJECT)


async def find_block(client: PrefectClient, block: str, *, include_secrets: bool = False) -> BlockDocument:
    """Find a notification block by `type/name`.

    Raises:
        InvalidArgumentError: There is no such block, or it sends no notifications.
    """
    kind, _, name = block.partition("/")
    try:
        document = await client.read_block_document_by_name(name, kind, include_secrets=include_secrets)
    except (ObjectNotFound, ValueError):
        raise InvalidArgumentError(
            f"There is no block {block}. Save one in Prefect, on the page Blocks, and name it as type/name, "
            "e.g. slack-webhook/alerts; `prefect block ls` lists them."
        ) from None
    capabilities = document.block_schema.capabilities if document.block_schema else []
    if "notify" not in capabilities:
        raise _no_notification_block(block)
    return document


def _no_notification_block(block: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{block} is not a notification block: it cannot send anything.")


async def _ensure(client: PrefectClient, described: AutomationCore) -> str:
    found = await _find(client, described.name)
    if found:
        what = await _update(client, found[0], described)
    else:
        await client.create_automation(described)
        what = "created"
        found = await _find(client, described.name)  # another command may have created it, too
    for duplicate in found[1:]:
        await delete_automation(client, duplicate.id)
        what += ", a duplicate deleted"
    return what


async def _update(client: PrefectClient, existing: Automation, described: AutomationCore) -> str:
    wanted = described.model_copy(update={"enabled": existing.enabled})
    disabled = "" if existing.enabled else ", disabled"
    if _core(existing) == wanted:
        return f"unchanged{disabled}"
    await client.update_automation(existing.id, wanted)
    return f"updated{disabled}"


async def _find(client: PrefectClient, name: str) -> list[Automation]:
    """Find those of a name, always in the same order: of duplicates, an enabled one is kept."""
    found = await client.read_automations_by_name(name)
    return sorted(found, key=lambda one: (not one.enabled, str(one.id)))


def _core(automation: Automation) -> AutomationCore:
    return AutomationCore.model_validate(automation.model_dump(exclude={"id", "owner_resource"}))


def _state(automation: Automation) -> str:
    return "enabled" if automation.enabled else "disabled"


def _blocks_of(automation: Automation) -> list[UUID]:
    return [one.block_document_id for one in automation.actions if isinstance(one, SendNotification)]


async def _describe_actions(client: PrefectClient, automation: Automation) -> str:
    blocks: Sequence[str] = [await _describe(client, one) for one in _blocks_of(automation)]
    if blocks:
        return f"sends to {', '.join(blocks)}"
    states = {one.state.value for one in automation.actions if isinstance(one, ChangeFlowRunState)}
    marks = "".join(f": marks runs as {state.capitalize()}" for state in states)
    return f"sends to no block{marks}"


async def _describe(client: PrefectClient, block_document_id: UUID) -> str:
    try:
        document = await client.read_block_document(block_document_id, include_secrets=False)
    except ObjectNotFound:
        return "a deleted block"
    slug = document.block_type.slug if document.block_type else "unknown"
    return f"{slug}/{document.name}"
