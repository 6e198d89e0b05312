"""A candidate is due only if it was one in every run for long enough, whatever runs and clocks did."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_protection import quarantine as subject
from snapshot_protection.quarantine import Quarantine, begin, merge_quarantines, observe, restart_reason
from tests.support.retention_worlds import NOW

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)

Run = tuple[datetime, set[int]]


def known(since: Mapping[int, datetime], observed: datetime = NOW) -> Quarantine:
    return Quarantine("prod", "default", observed, since)


def after(runs: Sequence[Run]) -> Quarantine:
    (first, candidates), *others = runs
    record = begin("prod", "default", candidates, first)
    for now, found in others:
        record = observe(record, found, now)
    return record


def test_a_candidate_of_every_night_is_due_after_seven_days_and_not_before() -> None:
    record = after([(NOW + night * DAY, {1}) for night in range(8)])
    due = NOW + 7 * DAY
    assert record.due_at(1, 7) == due
    assert record.is_due(1, 7, due)
    assert not record.is_due(1, 7, due - SECOND)
    assert not record.is_due(2, 7, due)
    assert record.due_at(2, 7) is None


def test_what_is_no_candidate_any_more_is_dropped_and_begins_again() -> None:
    record = after([(NOW, {1, 2}), (NOW + DAY, {2}), (NOW + 2 * DAY, {1, 2})])
    assert record.since == {1: NOW + 2 * DAY, 2: NOW}


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (48 * HOUR, ""),
        (48 * HOUR + SECOND, "the last run was more than 48 hours earlier"),
        (timedelta(0), ""),
        (timedelta(minutes=-15), ""),
        (timedelta(minutes=-15) - SECOND, "the clock went back"),
        (-365 * DAY, "the clock went back"),
    ],
    ids=str,
)
def test_the_quarantine_restarts_after_a_gap_or_when_the_clock_went_back(
    step: timedelta, reason: str
) -> None:
    record = known({1: NOW - 6 * DAY})
    assert restart_reason(record, NOW + step) == reason
    now = observe(record, {1, 2}, NOW + step)
    assert now.observed == (NOW + step if reason else max(NOW, NOW + step))
    assert now.since == {1: NOW + step if reason else NOW - 6 * DAY, 2: now.observed}


def test_another_machine_s_clock_that_is_behind_makes_nothing_due_earlier() -> None:
    record = after([(NOW, {1}), (NOW - 5 * SECOND, {1, 2})])
    assert record.observed == NOW
    assert record.since == {1: NOW, 2: NOW}


def test_nothing_is_due_by_a_record_whose_last_observation_no_longer_counts() -> None:
    record = known({1: NOW - 30 * DAY})
    assert record.is_due(1, 7, NOW + 48 * HOUR)
    assert not record.is_due(1, 7, NOW + 48 * HOUR + SECOND)
    assert not record.is_due(1, 7, NOW - HOUR)
    assert not record.is_due(1, 0, NOW - HOUR)


def test_without_a_quarantine_a_candidate_is_due_at_once_and_what_is_none_is_not() -> None:
    record = after([(NOW, set()), (NOW - SECOND, {1})])
    assert record.is_due(1, 0, NOW - SECOND)
    assert not record.is_due(2, 0, NOW)


_STEPS = st.one_of(
    st.sampled_from([HOUR, DAY, 2 * DAY, 2 * DAY + SECOND, -SECOND, -15 * 60 * SECOND, -HOUR, -DAY]),
    st.integers(0, 50).map(lambda hours: hours * HOUR),
)
_RUNS = st.lists(st.tuples(_STEPS, st.sets(st.integers(1, 4))), min_size=1, max_size=12)


@given(_RUNS, st.sampled_from([0, 1, 2, 7]), st.integers(1, 4))
def test_a_candidate_is_due_only_if_it_was_one_in_every_run_for_so_long(
    steps: list[tuple[timedelta, set[int]]], days: int, image_id: int
) -> None:
    runs: list[Run] = []
    for step, candidates in steps:
        runs.append(((runs[-1][0] if runs else NOW) + step, candidates))
    now = runs[-1][0]
    assert after(runs).is_due(image_id, days, now) == _is_due_slowly(runs, image_id, days)


def _is_due_slowly(runs: Sequence[Run], image_id: int, days: int) -> bool:
    """Go back from the last run as long as it was a candidate and no gap or clock interrupts."""
    begins = [at for at in range(len(runs)) if at == 0 or _interrupts(runs, at)]
    counted = runs[begins[-1] :]
    latest = [max(time for time, _ in counted[: at + 1]) for at in range(len(counted))]
    uninterrupted = 0
    for _, candidates in reversed(counted):
        if image_id not in candidates:
            break
        uninterrupted += 1
    if not uninterrupted:
        return False
    return days == 0 or runs[-1][0] - latest[-uninterrupted] >= days * DAY


def _interrupts(runs: Sequence[Run], at: int) -> bool:
    """Compare with the latest observation since the last interruption, as the clocks of machines differ."""
    begin = max((one for one in range(at) if one == 0 or _interrupts(runs, one)), default=0)
    before = max(time for time, _ in runs[begin:at])
    return runs[at][0] - before > 2 * DAY or before - runs[at][0] > timedelta(minutes=15)


@pytest.mark.parametrize(
    ("older", "newer", "merged"),
    [
        ({1: NOW - 9 * DAY}, {1: NOW - 8 * DAY}, {1: NOW - 8 * DAY}),
        ({1: NOW - 8 * DAY}, {1: NOW - 9 * DAY}, {1: NOW - 8 * DAY}),
        ({1: NOW - 8 * DAY}, {}, {}),
        ({}, {1: NOW - 8 * DAY}, {}),
        ({}, {1: NOW - HOUR}, {}),
        ({}, {1: NOW}, {1: NOW}),
    ],
)
def test_of_two_runs_at_once_the_more_cautious_one_decides(
    older: dict[int, datetime], newer: dict[int, datetime], merged: dict[int, datetime]
) -> None:
    records = known(older, NOW - HOUR), known(newer, NOW)
    for order in permutations(records):
        assert merge_quarantines(*order) == known(merged, NOW)


_RECORDS = st.lists(
    st.builds(
        lambda hours, since: known(
            {image_id: NOW - (hours + ago) * HOUR for image_id, ago in since.items()}, NOW - hours * HOUR
        ),
        st.integers(0, 5),
        st.dictionaries(st.integers(1, 4), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=4,
)


@given(_RECORDS)
def test_versions_that_are_merged_make_nothing_due_earlier_than_any_of_them(
    records: list[Quarantine],
) -> None:
    merged = merge_quarantines(*records)
    assert merged.observed == max(one.observed for one in records)
    for image_id, since in merged.since.items():
        for record in records:
            if record.observed >= since:
                assert image_id in record.since
                assert record.since[image_id] <= since
    for order in permutations(records):
        assert merge_quarantines(*order) == merged


@given(_RECORDS)
def test_what_all_versions_agree_on_is_not_lost(records: list[Quarantine]) -> None:
    shared = set.intersection(*(set(one.since) for one in records))
    merged = merge_quarantines(*records)
    for image_id in shared:
        assert merged.since[image_id] == max(one.since[image_id] for one in records)


def test_a_record_is_bounded_and_what_is_left_out_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MAX_SNAPSHOTS", 2)
    record = after([(NOW, {7, 9}), (NOW + DAY, {1, 7, 9})])
    assert record.since == {7: NOW, 9: NOW}
    assert begin("prod", "default", [3, 1, 2], NOW).since == {1: NOW, 2: NOW}
