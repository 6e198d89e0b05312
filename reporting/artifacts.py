"""What a run shows on the Artifacts page. A server that cannot take it is no reason to stop a run."""

import asyncio
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.sorting import ArtifactSort

from hetzner_cloud.sanitize import escape_rows
from reporting.run_logging import in_run_context, run_logger
from snapshot_protection.protection_report import ProtectionReport, build_table, render_summary
from tasks.prefect_errors import log_unpublished


class ProgressArtifact:
    """One progress artifact, made when it is first shown and updated in place; use it as a context manager.

    Showing delays nobody: while the server takes one figure, only the newest of the others waits for it.
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
        """Show the progress, from 0 to 100 percent; outside of a run there is nowhere to show it."""
        self._wanted = percent
        if in_run_context() and (self._showing is None or self._showing.done()):
            self._showing = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        while self._wanted is not None and self._wanted != self._shown:
            self._shown = self._wanted
            try:
                if self._id is None:
                    self._id = await acreate_progress_artifact(self._shown, description=self._description)
                else:
                    await aupdate_progress_artifact(self._id, self._shown)
            except Exception as error:  # noqa: BLE001 - what is shown matters less than the run
                run_logger().warning("The progress could not be shown: %r", error)


async def publish_report(report: ProtectionReport, *, whole: bool) -> str:
    """Publish a protection run's table and summary.

    Args:
        report: The report.
        whole: Whether it is of a whole run: then they have keys, so a history, dry runs one of their own. A
            part of a run keeps its report for the run that has started it, see `find_report`.

    Returns:
        Why it could not be published, empty if it was.
    """
    mode = "-dry-run" if report.dry_run else ""
    summary = render_summary(report) if whole else f"{render_summary(report)}\n\n{report.dump()}\n"
    try:
        await asyncio.gather(
            acreate_table_artifact(
                escape_rows(build_table(report)),
                key=f"snapshot-protection-outcomes{mode}" if whole else None,
                description="One row for each snapshot, those that need a person first.",
            ),
            acreate_markdown_artifact(
                summary,
                key=f"snapshot-protection-summary{mode}" if whole else None,
                description="What the run came to.",
            ),
        )
    except Exception as error:  # noqa: BLE001 - the outcome is in the log and in the final state too
        return log_unpublished(error)
    return ""


async def find_report(flow_run_id: UUID) -> ProtectionReport | None:
    """Find the last report that a part of a run has kept; None if there is none that can be read.

    A flow run that is started again, e.g. by its infrastructure, has one of each time.
    """
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)
    reports = (ProtectionReport.load(str(artifact.data)) for artifact in found)
    return next((report for report in reports if report), None)
