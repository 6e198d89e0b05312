"""What was pruned is known for 90 days, whichever versions of the record are left."""

from datetime import datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_protection import pruned_record as subject
from snapshot_protection.embedding import embed
from snapshot_protection.prune_plan import PlannedDeletion
from snapshot_protection.pruned_record import PrunedRecord, PrunedSnapshot, merge_pruned, next_pruned_record
from tests.support.retention_worlds import NOW

DAY = timedelta(days=1)


def pruned(image_id: int, time: datetime = NOW, run: int = 1) -> PrunedSnapshot:
    return PrunedSnapshot(image_id=image_id, pruned=time, flow_run_id=UUID(int=run), rule="nightly", size=2.3)


def record(*snapshots: PrunedSnapshot) -> PrunedRecord:
    return PrunedRecord(project="prod", snapshots=snapshots)


def test_a_record_is_read_as_it_was_stored() -> None:
    stored = record(pruned(1), pruned(2, NOW - DAY))
    assert PrunedRecord.load(f"# Pruned\n\n{stored.dump()}\n") == stored
    assert PrunedRecord.load("# Pruned") is None


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"project":"prod","snapshots":[{"image_id":0}]}',
        '{"project":"prod","snapshots":[],"more":1}',
    ],
)
def test_what_is_not_in_the_format_is_not_read(text: str) -> None:
    assert PrunedRecord.load(embed("pruned-snapshots", text)) is None


def test_what_was_planned_is_recorded_with_its_strings_cut() -> None:
    deletion = PlannedDeletion(
        project="prod",
        image_id=1,
        rule="r" * 99,
        server_id=7,
        type="snapshot",
        status="available",
        created=NOW - 99 * DAY,
        description="d" * 99,
        size=2.3,
        fingerprint="f",
    )
    one = PrunedSnapshot.of(deletion, pruned=NOW, flow_run_id=UUID(int=1))
    assert one.model_dump() == {
        "image_id": 1,
        "pruned": NOW,
        "flow_run_id": UUID(int=1),
        "rule": "r" * 39 + "…",
        "description": "d" * 39 + "…",
        "size": 2.3,
    }
    assert PrunedRecord.load(record(one).dump()) == record(one)


def test_each_version_carries_over_what_was_pruned_within_90_days() -> None:
    known = {
        one.image_id: one
        for one in (pruned(1, NOW - 90 * DAY), pruned(2, NOW - 90 * DAY - timedelta(seconds=1)), pruned(3))
    }
    assert next_pruned_record("prod", known, [pruned(4)], NOW) == record(
        pruned(1, NOW - 90 * DAY), pruned(3), pruned(4)
    )


def test_a_record_is_bounded_and_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_MAX_SNAPSHOTS", 2)
    known = {at: pruned(at, NOW - at * DAY) for at in range(1, 5)}
    assert next_pruned_record("prod", known, [pruned(9)], NOW) == record(pruned(1, NOW - DAY), pruned(9))


_VERSIONS = st.lists(
    st.lists(
        st.builds(lambda at, ago, run: pruned(at, NOW - ago * DAY, run), *[st.integers(1, 5)] * 3), max_size=5
    ).map(lambda found: record(*found)),
    max_size=4,
)


@given(_VERSIONS)
def test_what_any_version_knows_is_known_in_whatever_order_they_are_read(
    versions: list[PrunedRecord],
) -> None:
    merged = merge_pruned(versions)
    assert set(merged) == {one.image_id for version in versions for one in version.snapshots}
    for order in permutations(versions):
        assert merge_pruned(order) == merged
