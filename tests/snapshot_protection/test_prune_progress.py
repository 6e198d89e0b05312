"""What a prune run writes down before each change."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from snapshot_protection.prune_plan import PlannedDeletion
from snapshot_protection.prune_progress import PruneProgress

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
PLANNED = PlannedDeletion(
    project="prod",
    image_id=7,
    rule="nightly",
    server_id=1,
    type="snapshot",
    status="available",
    created=NOW,
    fingerprint="",
)
EMPTY = PruneProgress(project="prod", endpoint="https://api.example/v1", flow_run_id=UUID(int=1))


def test_what_is_in_progress_is_stored_and_read_again() -> None:
    begun = EMPTY.begin(PLANNED, NOW)
    assert PruneProgress.load(f"# page\n{begun.dump()}\n") == begun
    assert (begun.in_progress, begun.began) == (PLANNED, NOW)


def test_nothing_is_in_progress_when_it_is_finished() -> None:
    finished = EMPTY.begin(PLANNED, NOW).finish("snapshot 7: pruned")
    assert finished == EMPTY.model_copy(update={"finished": ("snapshot 7: pruned",)})


@pytest.mark.parametrize("page", ["", "<!-- prune-progress AAAA -->", EMPTY.dump()[:-20]])
def test_a_page_that_cannot_be_read_is_none(page: str) -> None:
    assert PruneProgress.load(page) is None
