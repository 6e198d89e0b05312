"""Waiting for processes, and the records of the runs that they are."""

import asyncio
import time
from collections.abc import Callable

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun

_PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def until_async(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(until, condition)


async def runs_named(name: str) -> list[FlowRun]:
    async with get_client() as client:
        wanted = FlowRunFilter.model_validate({"name": {"any_": [name]}})
        return await client.read_flow_runs(flow_run_filter=wanted)
