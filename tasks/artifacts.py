"""What a run shows on the Artifacts page. A server that cannot take it is no reason to stop a run."""

from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from hetzner_cloud.report import ProtectionReport, summary_of, table_of
from hetzner_cloud.text import as_cells
from tasks.run_log import inside_a_run, run_logger


class ProgressArtifact:
    """One progress artifact, made when it is first shown and updated in place."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._id: UUID | None = None
        self._shown: float | None = None

    async def show(self, percent: float) -> None:
        """Show the progress, from 0 to 100 percent; outside of a run there is nowhere to show it."""
        if percent == self._shown or not inside_a_run():
            return
        try:
            if self._id is None:
                self._id = await acreate_progress_artifact(percent, description=self._description)
            else:
                await aupdate_progress_artifact(self._id, percent)
        except Exception as error:  # noqa: BLE001 - whatever it is, what is shown matters less than the run
            run_logger().warning("The progress could not be shown: %r", error)
        else:
            self._shown = percent


async def publish_report(report: ProtectionReport) -> None:
    """Publish a protection run's table and summary; dry runs have keys, so a history, of their own."""
    mode = "-dry-run" if report.dry_run else ""
    try:
        await acreate_table_artifact(
            as_cells(table_of(report)),
            key=f"snapshot-protection-outcomes{mode}",
            description="One row for each snapshot, those that need a person first.",
        )
        await acreate_markdown_artifact(
            summary_of(report),
            key=f"snapshot-protection-summary{mode}",
            description="What the run came to.",
        )
    except Exception as error:  # noqa: BLE001 - the outcome stands in the log and in the final state too
        run_logger().error("The report could not be published: %r", error)
