"""What prune runs have in progress while a protection run lists: left alone, then verified.

A prune run may have been killed after it requested to remove a protection: then the snapshot is listed as
protected, and is not when that action has finished.
"""

from asyncio import sleep
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import ceil

from prefect.client.schemas.objects import ArtifactCollection

from blocks.credentials import HetznerCloudCredentials
from flows._protect_again import wait_for_running_actions
from flows._shared_read import SharedRead
from hetzner_cloud.errors import HetznerCloudError
from records.prefect_errors import describe_prefect_error
from records.prune_locks import is_held
from records.prune_progress import UnreadableProgressError, find_in_progress, read_last_records
from reporting.run_logging import run_logger
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_progress import PruneProgress

_POLL_SECONDS = 2.0


@dataclass
class PruningInProgress:
    """The records of prune runs, for all parts of a run."""

    _records: SharedRead[Mapping[str, ArtifactCollection]] = field(
        default_factory=lambda: SharedRead(read_last_records)
    )

    async def find(self, project: str, endpoint: str, image_ids: Collection[int]) -> dict[int, PruneProgress]:
        """Find which of these snapshots are on record as in progress, under any name.

        To be called after they were listed: a change that had begun by then was recorded before.

        Raises:
            UnreadableProgressError: The records cannot be read.
        """
        return {
            progress.in_progress.image_id: progress
            for progress in find_in_progress(project, await self._read_records())
            if progress.in_progress
            and progress.in_progress.image_id in image_ids
            and progress.endpoint == endpoint
        }

    async def settle(
        self,
        project: str,
        credentials: HetznerCloudCredentials,
        progress: PruneProgress,
        timeout_seconds: float,
    ) -> ErrorInfo | None:
        """Wait until a run has finished with its snapshot or is gone, and no action of it runs any more.

        Returns:
            Why it is unknown whether one runs; None if none does.
        """
        image_id = progress.in_progress.image_id if progress.in_progress else 0
        run_logger().warning(
            "Snapshot %d is recorded as being pruned by flow run %s: waiting until that is finished",
            image_id,
            progress.flow_run_id,
        )
        try:
            await self._wait_for_run(project, progress, ceil(timeout_seconds / _POLL_SECONDS))
            await wait_for_running_actions(credentials, image_id, timeout_seconds=timeout_seconds)
        except Exception as error:  # noqa: BLE001 - whatever it is, how the snapshot will be is unknown
            return ErrorInfo.of(error)
        return None

    async def _wait_for_run(self, project: str, progress: PruneProgress, polls: int) -> None:
        for _ in range(polls):
            if not await is_held(progress.project, progress.flow_run_id):
                return
            if progress not in find_in_progress(project, await self._read_records()):
                return
            await sleep(_POLL_SECONDS)

    async def _read_records(self) -> Mapping[str, ArtifactCollection]:
        try:
            return await self._records()
        except HetznerCloudError:
            raise
        except Exception as error:
            text = f"The records of prune runs could not be read: {describe_prefect_error(error)}"
            raise UnreadableProgressError(text, "unreadable_progress") from error
