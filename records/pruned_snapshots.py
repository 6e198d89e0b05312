"""Which snapshots of a project were pruned, for 90 days: each version has all that is still needed."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from prefect.client.orchestration import PrefectClient, get_client

from records.prune_progress import load_interrupted
from records.record_versions import add_version, read_last_versions, read_versions
from snapshot_protection.pruned_record import (
    KEPT_DAYS,
    PrunedRecord,
    PrunedSnapshot,
    merge_pruned,
    next_pruned_record,
)
from snapshot_protection.wording import pluralize

_VERSIONS = 5  # the last one has all; more, in case that it is unreadable or written by two runs at once
_MAX_DURATION = timedelta(hours=1)  # of the deletion of one snapshot, far more than it takes


async def load_pruned(project: str) -> Mapping[int, PrunedSnapshot]:
    """Load what was pruned, by image id; a version that cannot be read is left out.

    Without it an audit reports the snapshot as missing: nothing is hidden.
    """
    async with get_client() as client:
        return await _load(client, project)


async def load_perhaps_pruned(project: str, last_listed: datetime) -> Mapping[int, PrunedSnapshot]:
    """Load what was pruned, and what is, or was when a run was killed, in progress; for missing snapshots.

    In this order: what is no longer in progress is recorded as pruned.

    Args:
        project: The project.
        last_listed: When they were listed: what was in progress long before has outlived that.
    """
    in_progress = {
        one.in_progress.image_id: PrunedSnapshot.of(
            one.in_progress, pruned=one.began, flow_run_id=one.flow_run_id
        )
        for one in (record.progress for record in await load_interrupted(project))
        if one.in_progress and one.began and last_listed - one.began <= _MAX_DURATION
    }
    return {**in_progress, **await load_pruned(project)}


async def record_pruned(project: str, pruned: Iterable[PrunedSnapshot], now: datetime) -> None:
    """Store what a run pruned, with all that is still needed of earlier ones."""
    async with get_client() as client:
        record = next_pruned_record(project, await _load(client, project), pruned, now)
        count = pluralize(len(record.snapshots), "snapshot")
        page = f"{count} pruned in the last {KEPT_DAYS} days.\n\n{record.dump()}\n"
        await add_version(client, _key(project), page, description=f"The pruned snapshots of {project}.")


async def _load(client: PrefectClient, project: str) -> Mapping[int, PrunedSnapshot]:
    last = await read_last_versions(client, [_key(project)])
    pages = {one.id: one for one in last.values()}
    if pages:
        pages |= {one.id: one for one in await read_versions(client, [_key(project)], limit=_VERSIONS)}
    records = (PrunedRecord.load(one.page) for one in pages.values())
    return merge_pruned(record for record in records if record and record.project == project)


def _key(project: str) -> str:
    return f"snapshot-pruned-{project}"
