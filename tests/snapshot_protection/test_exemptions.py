"""Approved exemptions: how they are stored, and which of several holds."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from snapshot_protection.exemptions import MAX_HOURS, Exemption, ExemptionRecord, merge, unexpired

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
RUN = UUID(int=7)


def _exemption(image_id: int = 1, hours: float = 24, **fields: str) -> Exemption:
    details = {"reason": "to delete it after the move", "approved_by": "the on-call operator"} | fields
    return Exemption(image_id=image_id, until=NOW + timedelta(hours=hours), flow_run_id=RUN, **details)


def test_a_record_is_read_as_it_was_stored() -> None:
    record = ExemptionRecord(
        project="prod", exemptions=(_exemption(1), _exemption(2, reason="<!-- --> ü 🙂"))
    )
    assert ExemptionRecord.load(f"# Approved\n\n{record.dump()}\n") == record


@pytest.mark.parametrize(
    "page", ["", "text", "<!-- snapshot-exemptions x -->", "<!-- snapshot-exemptions -->"]
)
def test_a_page_that_cannot_be_read_holds_no_record(page: str) -> None:
    assert ExemptionRecord.load(page) is None


@pytest.mark.parametrize("image_id", [0, -1, True, "1", 2**53])
def test_an_exemption_of_an_impossible_id_is_rejected(image_id: int) -> None:
    with pytest.raises(ValidationError):
        _exemption(image_id)


def test_an_exemption_without_a_time_zone_is_rejected() -> None:
    fields = _exemption().model_dump() | {"until": NOW.replace(tzinfo=None)}
    with pytest.raises(ValidationError):
        Exemption.model_validate(fields)


@given(st.lists(st.lists(st.tuples(st.integers(1, 4), st.integers(-5, 5)), max_size=4), max_size=4))
def test_of_several_exemptions_of_a_snapshot_the_one_that_lasts_longest_holds(
    runs: list[list[tuple[int, int]]],
) -> None:
    records = [
        ExemptionRecord(project="prod", exemptions=tuple(_exemption(one, hours) for one, hours in run))
        for run in runs
    ]
    latest = {
        one: max(hours for run in runs for other, hours in run if other == one)
        for run in runs
        for one, _ in run
    }
    for order in (records, records[::-1]):
        found = merge(order)
        assert {one: exemption.until for one, exemption in found.items()} == {
            one: NOW + timedelta(hours=hours) for one, hours in latest.items()
        }
        assert set(unexpired(found, NOW)) == {one for one, hours in latest.items() if hours > 0}


@pytest.mark.parametrize("order", [1, -1])
def test_an_exemption_that_its_run_withdrew_holds_no_longer_and_others_do(order: int) -> None:
    kept, withdrawn, shorter = _exemption(1), _exemption(2, hours=48), _exemption(2, hours=1)
    records = [
        ExemptionRecord(project="prod", exemptions=(kept, withdrawn)),
        ExemptionRecord(project="prod", exemptions=(shorter,)),  # of another try, or of another run
        ExemptionRecord(project="prod", withdrawn=(withdrawn,)),
    ]
    stored = [ExemptionRecord.load(record.dump()) for record in records]
    assert merge(record for record in stored[::order] if record) == {1: kept, 2: shorter}


def test_an_exemption_that_outlasts_what_can_be_approved_is_none() -> None:
    """It was recorded by a clock that was ahead, or by no run."""
    latest = NOW + timedelta(hours=MAX_HOURS)
    records = [
        ExemptionRecord(project="prod", exemptions=(_exemption(1, hours=5), _exemption(2, hours=MAX_HOURS))),
        ExemptionRecord(project="prod", exemptions=(_exemption(1, hours=9_000), _exemption(3, hours=169))),
    ]
    assert merge(records, latest=latest) == {1: _exemption(1, hours=5), 2: _exemption(2, hours=MAX_HOURS)}


def test_a_report_names_until_when_why_and_who_approved_as_stated() -> None:
    assert str(_exemption(hours=24)) == (
        "until 2026-11-27 04:00 UTC: to delete it after the move, "
        "approved by the on-call operator (as stated)"
    )
    assert str(_exemption(approved_by="")).endswith("to delete it after the move")
