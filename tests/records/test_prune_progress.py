"""What prune runs have in progress, as the Prefect server stores it: the last record of every name."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from playground.server import PrefectServer
from records.prune_locks import Holder, acquire_lock, is_held
from records.prune_progress import (
    ProgressRecord,
    UnreadableProgressError,
    find_in_progress,
    load_interrupted,
    progress_key,
    read_last_records,
)
from snapshot_protection.prune_plan import PlannedDeletion
from snapshot_protection.prune_progress import PruneProgress

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)


@pytest.fixture
def project(engine: PrefectServer) -> str:
    return f"progress-{uuid4().hex[:8]}"


def a_progress(project: str, image_id: int = 0) -> PruneProgress:
    progress = PruneProgress(project=project, endpoint="https://api.example/v1", flow_run_id=uuid4())
    return progress.begin(_planned(project, image_id), NOW) if image_id else progress


def _planned(project: str, image_id: int) -> PlannedDeletion:
    return PlannedDeletion(
        project=project,
        image_id=image_id,
        rule="nightly",
        server_id=1,
        type="snapshot",
        status="available",
        created=NOW,
        fingerprint="",
    )


async def in_progress(project: str, *names: str) -> list[int]:
    """Find the snapshots that are in progress under these names, as a run in this project does."""
    found = find_in_progress(project, await read_last_records())
    return [one.in_progress.image_id for one in found if one.in_progress and one.project in names]


async def test_what_is_in_progress_is_found_under_every_name_from_its_first_change_to_its_last(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("records.prune_progress._PAGE", 1)
    names = [project, f"{project}-x"]
    records = [await ProgressRecord.create(a_progress(name)) for name in names]
    assert await in_progress(project, *names) == []
    for number, record in enumerate(records, 1):
        await record.store(record.progress.begin(_planned(record.progress.project, number), NOW))
    assert await in_progress(project, *names) == [1, 2]
    await records[0].store(records[0].progress.finish("snapshot 1: pruned"))
    assert await in_progress(project, *names) == [2]
    await records[1].settle()
    assert await in_progress(project, *names) == []


async def test_a_record_that_cannot_be_read_stops_its_own_project_and_says_how_to_go_on(project: str) -> None:
    other = f"{project}-x"
    await ProgressRecord.create(a_progress(f"{project}-y", 2))
    await ProgressRecord.create(a_progress(project, 1))
    broken = (await read_last_records())[progress_key(project)].model_copy(update={"data": "x"})
    records = {**await read_last_records(), progress_key(project): broken}
    with pytest.raises(UnreadableProgressError, match=f"prefect artifact delete --id {broken.latest_id}"):
        find_in_progress(project, records)
    found = find_in_progress(other, records)
    assert project not in {one.project for one in found}
    assert f"{project}-y" in {one.project for one in found}
    assert [one.progress.in_progress for one in await load_interrupted(project)] == [_planned(project, 1)]


async def test_a_lock_is_held_by_the_run_that_took_it_until_it_is_released(project: str) -> None:
    mine, other = UUID(int=1), UUID(int=2)
    assert not await is_held(project, mine)
    lock = await acquire_lock(project, Holder(flow_run_id=mine, flow_run_name="mine"))
    assert await is_held(project, mine)
    assert not await is_held(project, other)
    await lock.release()
    assert not await is_held(project, mine)
