"""The lock of a project, held and renewed while something in it may be changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from flows._protect_again import finish_despite_cancellation
from records.prefect_errors import describe_prefect_error
from records.prune_locks import RENEW_SECONDS, Holder, PruneLock, acquire_lock
from reporting.run_logging import run_logger


@dataclass(frozen=True)
class ThisRun:
    """The flow run in progress."""

    id: UUID
    name: str

    @property
    def holder(self) -> Holder:
        """Make what a lock has of it."""
        return Holder(flow_run_id=self.id, flow_run_name=self.name)


@asynccontextmanager
async def locked(project: str, run: ThisRun) -> AsyncIterator[PruneLock]:
    """Hold the project's lock, and renew it until the block ends."""
    lock = await acquire_lock(project, run.holder)
    renewing = asyncio.create_task(_renew(lock))
    try:
        yield lock
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        await finish_despite_cancellation(lambda: _release(lock))


async def _renew(lock: PruneLock) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await lock.renew()
        except Exception as error:  # noqa: BLE001 - it is renewed before each change, too, and not without
            run_logger().warning("The lock could not be renewed: %s", describe_prefect_error(error))


async def _release(lock: PruneLock) -> None:
    try:
        await lock.release()
    except Exception as error:  # noqa: BLE001 - it ends by itself; what was done must be reported
        text = describe_prefect_error(error)
        run_logger().warning("The variable %s could not be deleted: %s", lock.name, text)
