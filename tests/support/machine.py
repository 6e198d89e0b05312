"""The processes of a machine that is killed as a whole."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

T = TypeVar("T")
_PATIENCE_SECONDS = 240.0


async def until(condition: Callable[[], Awaitable[T | None]]) -> T:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not (found := await condition()):  # noqa: ASYNC110 - the server notifies no one
            await asyncio.sleep(0.05)
    return found


def processes_of(home: Path) -> list[int]:
    """The server, its workers and their runs: all have the same home, whatever their process groups."""
    mark = f"PREFECT_HOME={home}".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def kill_all(home: Path) -> None:
    while found := processes_of(home):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def begin(name: str, **parameters: object) -> FlowRun:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(name)
        return await client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
