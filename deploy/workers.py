"""Whether a worker polls the work pool now: without one, nothing that is deployed ever runs."""

from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import WorkerFilter
from prefect.client.schemas.objects import Worker, WorkPool
from prefect.exceptions import ObjectNotFound

from records.prefect_errors import describe_prefect_error
from snapshot_protection.wording import join_bounded

_MAX_WORKERS = 200
_ONLINE = WorkerFilter.model_validate({"status": {"any_": ["ONLINE"]}})


async def describe_workers(client: PrefectClient, pool: str) -> list[str]:
    """Say whether a worker polls a work pool, and how to start one; an error is said, and stops nothing."""
    try:
        work_pool = await client.read_work_pool(pool)
        workers = await client.read_workers_for_work_pool(pool, worker_filter=_ONLINE, limit=_MAX_WORKERS)
    except (httpx.HTTPError, ObjectNotFound, ValueError) as error:
        reason = describe_prefect_error(error)
        return [f"Unknown whether a worker polls the work pool {pool}: {reason}.", *_how_to_start(pool)]
    return format_workers(work_pool, workers, now=datetime.now(UTC))


def format_workers(pool: WorkPool, workers: Sequence[Worker], *, now: datetime) -> list[str]:
    """Format which workers poll a work pool or, where there is none, how to start one."""
    paused = f"The work pool {pool.name} is paused: until it is resumed, no run starts."
    lines = [paused, f"  prefect work-pool resume {pool.name}"] if pool.is_paused else []
    if not workers:
        return [
            *lines,
            f"No worker polls the work pool {pool.name}: until one does, no run starts.",
            *_how_to_start(pool.name),
        ]
    named = join_bounded((_describe(worker, now) for worker in workers), limit=5)
    return [*lines, f"Polling the work pool {pool.name}: {named}."]


def _how_to_start(pool: str) -> list[str]:
    return ["Start one in a separate terminal:", f"  prefect worker start --pool {pool} --limit 5"]


def _describe(worker: Worker, now: datetime) -> str:
    if worker.last_heartbeat_time is None:
        return f"worker '{worker.name}'"
    seconds = max(0, int((now - worker.last_heartbeat_time).total_seconds()))
    return f"worker '{worker.name}' (last heartbeat {seconds} s ago)"
