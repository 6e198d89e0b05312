"""The last lines of a deploy: whether a worker polls the work pool, and how to start one."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import Worker, WorkPool

from deploy.workers import describe_workers, format_workers

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
START = ["Start one in a separate terminal:", "  prefect worker start --pool hetzner-cloud --limit 5"]


def pool(**fields: Any) -> WorkPool:
    return WorkPool.model_validate({"name": "hetzner-cloud", "type": "process", **fields})


def worker(name: str, *, seconds: float = 12) -> Worker:
    return Worker(name=name, work_pool_id=uuid4(), last_heartbeat_time=NOW - timedelta(seconds=seconds))


def test_the_command_that_starts_a_worker_is_said_when_none_polls() -> None:
    none = "No worker polls the work pool hetzner-cloud: until one does, no run starts."
    assert format_workers(pool(), [], now=NOW) == [none, *START]


def test_workers_that_poll_are_named_with_the_age_of_their_heartbeats() -> None:
    [line] = format_workers(pool(), [worker("one"), worker("two", seconds=-3)], now=NOW)
    assert line == (
        "Polling the work pool hetzner-cloud: worker 'one' (last heartbeat 12 s ago), "
        "worker 'two' (last heartbeat 0 s ago)."
    )


def test_of_many_workers_the_first_ones_are_named() -> None:
    [line] = format_workers(pool(), [worker(f"w{number}") for number in range(9)], now=NOW)
    assert line.endswith("and 4 more.")


def test_a_paused_work_pool_is_said_beside_its_workers() -> None:
    lines = format_workers(pool(is_paused=True), [worker("one")], now=NOW)
    assert lines[0] == "The work pool hetzner-cloud is paused: until it is resumed, no run starts."
    assert lines[1] == "  prefect work-pool resume hetzner-cloud"
    assert lines[2].startswith("Polling the work pool hetzner-cloud: ")


async def test_an_error_is_said_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(PrefectClient, "read_work_pool", fail)
    async with PrefectClient("http://127.0.0.1:9/api") as client:
        lines = await describe_workers(client, "hetzner-cloud")
    unknown = "Unknown whether a worker polls the work pool hetzner-cloud: ConnectError: refused."
    assert lines == [unknown, *START]
