"""The progress of a run, as a progress artifact."""

import asyncio
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from reporting.run_logging import in_run_context, run_logger


class ProgressArtifact:
    """One progress artifact, created when first shown and updated in place; use it as a context manager.

    Showing does not block: while the server takes one value, only the newest of the others waits for it.
    """

    def __init__(self, description: str) -> None:
        self._description = description
        self._id: UUID | None = None
        self._wanted: float | None = None
        self._shown: float | None = None
        self._showing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._showing and isinstance(error, asyncio.CancelledError):
            self._showing.cancel()
        elif self._showing:
            await self._showing

    def show(self, percent: float) -> None:
        """Show the progress, from 0 to 100 percent; outside of a run this does nothing."""
        self._wanted = percent
        if in_run_context() and (self._showing is None or self._showing.done()):
            self._showing = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        while self._wanted is not None and self._wanted != self._shown:
            self._shown = self._wanted
            try:
                await self._send(self._shown)
            except Exception as error:  # noqa: BLE001 - what is shown matters less than the run
                run_logger().warning("The progress could not be shown: %r", error)

    async def _send(self, percent: float) -> None:
        if self._id is None:
            self._id = await acreate_progress_artifact(percent, description=self._description)
        else:
            await aupdate_progress_artifact(self._id, percent)
