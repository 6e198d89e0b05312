"""Deploy: register the block type, create the work pool if there is none, put the deployments there.

A deployment that prefect.yaml describes as it did last time is left alone. Of one that it describes
otherwise, the parts that it does not change keep what people have set.
"""

import asyncio
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings
from prefect.variables import Variable

from blocks.credentials import HetznerCloudCredentials
from deploy.kept import look, restore
from deploy.plan import Digests, Planned, read_plan

_ROOT = Path(__file__).resolve().parent.parent
_RECORD = "hetzner_snapshot_protection_deployed"

Record = dict[str, Digests]


async def deploy() -> None:
    """Deploy what has changed, and say what was done.

    Raises:
        DeployError: With what to do.
    """
    url = get_current_settings().api.url
    if not url:
        raise DeployError("Say which Prefect server: export PREFECT_API_URL=http://127.0.0.1:4200/api")
    async with get_client() as client:
        await _check_server(client, url)
        await HetznerCloudCredentials.aregister_type_and_schema(client=client)
        plan = read_plan(_ROOT)
        for pool in sorted({planned.work_pool for planned in plan}):
            await _create_pool(client, pool)
        await _deploy(client, plan)


async def _check_server(client: PrefectClient, url: str) -> None:
    try:
        await client.read_work_pools(limit=1)
    except httpx.TransportError as error:
        raise DeployError(
            f"No Prefect server answers at {url} ({type(error).__name__}). Is PREFECT_API_URL right, "
            "and the server running?"
        ) from None
    except PrefectHTTPStatusError as error:
        raise DeployError(
            f"The Prefect server at {url} refuses with status {error.response.status_code}. "
            "Are PREFECT_API_URL and PREFECT_API_KEY or PREFECT_API_AUTH_STRING right?"
        ) from None


async def _create_pool(client: PrefectClient, name: str) -> None:
    try:
        await client.read_work_pool(name)
    except ObjectNotFound:
        _prefect("work-pool", "create", name, "--type", "process")
        print(f"work pool {name}: created, for processes on a worker's own machine")
    else:
        print(f"work pool {name}: is there, left as it is")


async def _deploy(client: PrefectClient, plan: Sequence[Planned]) -> None:
    record: Record = dict(await Variable.aget(_RECORD, default={}))
    found = {planned.name: await look(client, planned.name) for planned in plan}
    changed = {planned.name: _changed(planned.digests, record.get(planned.name)) for planned in plan}
    todo = [planned for planned in plan if found[planned.name] is None or changed[planned.name] != set()]
    try:
        if todo:
            _prefect("--no-prompt", "deploy", *_named(todo))
    finally:  # also if it broke half way: it has overwritten some by then
        for planned in todo:
            if before := found[planned.name]:
                await restore(client, planned.name, before, changed[planned.name])
    if todo:
        record |= {planned.name: planned.digests for planned in todo}
        await Variable.aset(_RECORD, record, overwrite=True)
    for planned in plan:
        print(f"deployment {planned.name}: {_done(planned, todo, changed[planned.name], found)}")


def _changed(now: Digests, last: Digests | None) -> set[str] | None:
    if last is None:
        return None
    return {part for part in now.keys() | last.keys() if now.get(part) != last.get(part)}


def _named(todo: Iterable[Planned]) -> list[str]:
    return [argument for planned in todo for argument in ("--name", planned.short_name)]


def _done(
    planned: Planned, todo: Collection[Planned], changed: Collection[str] | None, found: dict[str, Any]
) -> str:
    if planned not in todo:
        return "unchanged"
    if found[planned.name] is None:
        return "created"
    return f"updated ({', '.join(sorted(changed))})" if changed else "updated"


def _prefect(*arguments: str) -> None:
    """Run Prefect's own command; what it prints matters only if it fails."""
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(  # noqa: S603 - our own arguments
        command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise DeployError(f"{done.stdout}\n`prefect {' '.join(arguments)}` failed, see above.")


class DeployError(Exception):
    """Deploying came to an end; the text says why and what to do."""


if __name__ == "__main__":
    try:
        asyncio.run(deploy())
    except DeployError as error:
        sys.exit(str(error))
