"""Setting up notifications from the shell: which automations there are, and where they send to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient, get_client

from cli.tables import make_console, print_failure
from deploy.notifications import (
    Done,
    find_blocks_in_use,
    list_automations,
    remove_automations,
    send_test,
    set_block,
)
from hetzner_cloud.errors import InvalidArgumentError
from records.prefect_errors import describe_prefect_error

_Work = Callable[[PrefectClient], Coroutine[Any, Any, int]]


def set_notifications(block: str) -> int:
    """Create or update the automations for one block; returns the exit status."""

    async def work(client: PrefectClient) -> int:
        await _print_each(set_block(client, block))
        _print("Test it: hetzner-snapshots notifications test")
        return 0

    return _run(work)


def list_notifications() -> int:
    """Print how each automation is; returns the exit status, 0 only if all exist and are enabled."""

    async def work(client: PrefectClient) -> int:
        found = await _print_each(list_automations(client))
        is_ready = all(one.what.startswith("enabled") for one in found)
        if not is_ready:
            _print(
                "Some are missing or disabled. Create or update them: hetzner-snapshots "
                "notifications set BLOCK"
            )
        return 0 if is_ready else 1

    return _run(work)


def send_test_notifications(block: str) -> int:
    """Send one notification to a block, or to each in use; returns the exit status."""

    async def work(client: PrefectClient) -> int:
        blocks = [block] if block else await find_blocks_in_use(client)
        if not blocks:
            return print_failure("no automation sends anywhere: hetzner-snapshots notifications set BLOCK")
        return max([await _send(client, one) for one in blocks])

    return _run(work)


def remove_notifications() -> int:
    """Delete the automations; returns the exit status."""

    async def work(client: PrefectClient) -> int:
        if not await _print_each(remove_automations(client)):
            _print("No automations to delete.")
        return 0

    return _run(work)


async def _send(client: PrefectClient, block: str) -> int:
    try:
        await send_test(client, block)
    except InvalidArgumentError as error:
        return print_failure(error)
    except Exception as error:  # noqa: BLE001 - each kind of block raises its own; none may print its secrets
        return print_failure(f"{block} could not send ({type(error).__name__}); check its fields in Prefect")
    _print(f"{block}: sent")
    return 0


async def _print_each(automations: AsyncIterator[Done]) -> list[Done]:
    done = []
    async for one in automations:
        _print(f"{one.name}: {one.what}")
        done.append(one)
    return done


def _print(text: str) -> None:
    make_console().print(text, soft_wrap=True, highlight=False, markup=False)


def _run(work: _Work) -> int:
    async def run() -> int:
        async with get_client() as client:
            return await work(client)

    try:
        return asyncio.run(run())
    except InvalidArgumentError as error:
        return print_failure(error)
    except httpx.HTTPError as error:
        return print_failure(f"{describe_prefect_error(error)}. The steps printed above are complete.")
