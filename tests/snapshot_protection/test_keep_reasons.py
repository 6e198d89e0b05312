"""Which snapshots of a group are kept and why: examples to check by hand, and properties."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_protection.keep_reasons import Dated, Reason, explain_kept
from snapshot_protection.policy import Keep
from tests.support.retention_worlds import GROUPS, KEEPS, NOW, TIMES, ZONES, keep, kept_slowly

Group = Sequence[tuple[datetime, int]]
_CALENDAR = ("daily", "weekly", "monthly", "yearly")


def explain(
    keep: Keep, group: Group, zone: str = "UTC", now: datetime = NOW
) -> dict[int, tuple[Reason, ...]]:
    return explain_kept(keep, [Dated(*one) for one in group], ZoneInfo(zone), now)


def kept(keep: Keep, group: Group, zone: str = "UTC", now: datetime = NOW) -> set[int]:
    return set(explain(keep, group, zone, now))


# Each snapshot's id is its place in the list, from 1. Of each that is kept, the kinds of its reasons; others
# are candidates. Nothing keeps but the fields that are named, and the newest one is kept anyway.
_EXAMPLES: dict[str, tuple[dict[str, Any], str, list[str], dict[int, set[str]]]] = {
    "summer time begins: the day has 23 hours": (
        {"daily": 2},
        "Europe/Berlin",
        [
            "2026-03-28T23:30+01:00",
            "2026-03-29T00:30+01:00",
            "2026-03-29T23:30+02:00",
            "2026-03-30T00:30+02:00",
        ],
        {4: {"last", "daily"}, 3: {"daily"}},
    ),
    "the same in UTC: other days": (
        {"daily": 2},
        "UTC",
        [
            "2026-03-28T23:30+01:00",
            "2026-03-29T00:30+01:00",
            "2026-03-29T23:30+02:00",
            "2026-03-30T00:30+02:00",
        ],
        {4: {"last", "daily"}, 2: {"daily"}},
    ),
    "summer time ends: the day has 25 hours": (
        {"daily": 2},
        "Europe/Berlin",
        ["2026-10-25T00:30+02:00", "2026-10-25T23:30+01:00", "2026-10-26T00:30+01:00"],
        {3: {"last", "daily"}, 2: {"daily"}},
    ),
    "summer time ends: of the two at half past two the second is newer": (
        {"daily": 1},
        "Europe/Berlin",
        ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"],
        {2: {"last", "daily"}},
    ),
    "the days from Friday, 1 January 2027 to Sunday are of week 53 of 2026": (
        {"weekly": 2},
        "UTC",
        ["2026-12-27T12:00Z", "2026-12-31T12:00Z", "2027-01-03T12:00Z", "2027-01-04T12:00Z"],
        {4: {"last", "weekly"}, 3: {"weekly"}},
    ),
    "30 December 2024, a Monday, is of week 1 of 2025": (
        {"weekly": 2},
        "UTC",
        ["2024-12-29T12:00Z", "2024-12-30T12:00Z", "2025-01-05T12:00Z"],
        {3: {"last", "weekly"}, 1: {"weekly"}},
    ),
    "two in one second: the larger id is newer": (
        {"daily": 1},
        "UTC",
        ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"],
        {2: {"last", "daily"}},
    ),
    "half an hour before midnight in UTC is next year in Berlin": (
        {"yearly": 2},
        "Europe/Berlin",
        ["2025-12-31T22:00Z", "2025-12-31T23:30Z", "2026-06-01T12:00Z"],
        {3: {"last", "yearly"}, 1: {"yearly"}},
    ),
    "the same in UTC: still this year": (
        {"yearly": 2},
        "UTC",
        ["2025-12-31T22:00Z", "2025-12-31T23:30Z", "2026-06-01T12:00Z"],
        {3: {"last", "yearly"}, 2: {"yearly"}},
    ),
    "the leap day is the last of its month": (
        {"monthly": 2},
        "UTC",
        ["2024-02-28T12:00Z", "2024-02-29T12:00Z", "2024-03-01T12:00Z"],
        {3: {"last", "monthly"}, 2: {"monthly"}},
    ),
    "the leap day is a day": (
        {"daily": 3},
        "UTC",
        ["2024-02-28T12:00Z", "2024-02-29T12:00Z", "2024-03-01T12:00Z"],
        {3: {"last", "daily"}, 2: {"daily"}, 1: {"daily"}},
    ),
    "fewer days than wanted: the oldest too": (
        {"daily": 3},
        "UTC",
        ["2026-11-01T06:00Z", "2026-11-01T07:00Z", "2026-11-01T20:00Z", "2026-11-02T06:00Z"],
        {4: {"last", "daily"}, 3: {"daily"}, 1: {"oldest"}},
    ),
    "as many days as wanted: not the oldest": (
        {"daily": 2},
        "UTC",
        ["2026-11-01T06:00Z", "2026-11-01T07:00Z", "2026-11-01T20:00Z", "2026-11-02T06:00Z"],
        {4: {"last", "daily"}, 3: {"daily"}},
    ),
    "months without a snapshot are not counted": (
        {"monthly": 3},
        "UTC",
        ["2025-12-05T12:00Z", "2026-01-05T12:00Z", "2026-05-05T12:00Z", "2026-11-05T12:00Z"],
        {4: {"last", "monthly"}, 3: {"monthly"}, 2: {"monthly"}},
    ),
    "younger than seven days, to the second": (
        {"within_days": 7},
        "UTC",
        ["2026-11-18T12:00:00Z", "2026-11-18T12:00:01Z", "2026-11-20T12:00Z"],
        {3: {"last", "within_days"}, 2: {"within_days"}},
    ),
    "younger than a day and a half": (
        {"within_days": 1.5},
        "UTC",
        ["2026-11-24T00:00:00Z", "2026-11-24T00:00:01Z", "2026-11-25T00:00Z"],
        {3: {"last", "within_days"}, 2: {"within_days"}},
    ),
    "the newest two": (
        {"last": 2},
        "UTC",
        ["2026-11-01T12:00Z", "2026-11-03T12:00Z", "2026-11-02T12:00Z"],
        {2: {"last"}, 3: {"last"}},
    ),
}


@pytest.mark.parametrize("example", _EXAMPLES)
def test_an_example_that_was_checked_by_hand_holds_when(example: str) -> None:
    fields, zone, times, expected = _EXAMPLES[example]
    group = [(datetime.fromisoformat(time).astimezone(UTC), at) for at, time in enumerate(times, 1)]
    now = NOW if max(group)[0] <= NOW else datetime(2027, 6, 1, tzinfo=UTC)
    found = explain(keep(**fields), group, zone, now)
    assert {image_id: {one.kind for one in reasons} for image_id, reasons in found.items()} == expected


def test_of_one_snapshot_a_day_for_a_year_the_default_keeps_fourteen() -> None:
    """Wednesday, 25 November 2026: 7 days, the Sundays of 2 weeks before, the last days of 5 months."""
    days = [datetime(2026, 11, 25, 3, tzinfo=UTC) - timedelta(days=age) for age in range(365)]
    dates = {(day, age): f"{day:%m-%d}" for age, day in enumerate(days, 1)}
    found = kept(Keep(), list(dates))
    week = {"11-19", "11-20", "11-21", "11-22", "11-23", "11-24", "11-25"}
    months = {"10-31", "09-30", "08-31", "07-31", "06-30"}
    assert {text for (_, age), text in dates.items() if age in found} == week | {"11-15", "11-08"} | months


def test_each_reason_describes_what_keeps() -> None:
    group = [(datetime(2026, 11, 1 + at, tzinfo=UTC), at) for at in range(3)]
    found = explain(Keep(last=1, within_days=23, daily=1, weekly=4, monthly=1, yearly=1), group)
    assert {image_id: [str(one) for one in reasons] for image_id, reasons in found.items()} == {
        2: [
            "the newest",
            "younger than 23 days",
            "the newest of 2026-11-03 (daily)",
            "the newest of 2026-W45 (weekly)",
            "the newest of 2026-11 (monthly)",
            "the newest of 2026 (yearly)",
        ],
        0: ["the newest of 2026-W44 (weekly)", "the oldest, while there are fewer than 4 periods (weekly)"],
    }


def test_an_empty_group_has_no_reasons() -> None:
    assert explain(Keep(), []) == {}


@given(KEEPS, GROUPS, st.sampled_from(ZONES))
def test_a_second_slow_implementation_keeps_the_same(keep: Keep, group: Group, zone: str) -> None:
    assert kept(keep, group, zone) == kept_slowly(keep, group, zone, NOW)


@given(KEEPS, GROUPS, st.sampled_from(ZONES), st.randoms())
def test_the_order_of_the_list_changes_nothing(keep: Keep, group: Group, zone: str, random: Any) -> None:
    shuffled = [*group, *group[:3]]
    random.shuffle(shuffled)
    assert explain(keep, shuffled, zone) == explain(keep, group, zone)


@given(KEEPS, GROUPS.filter(bool), st.sampled_from(ZONES))
def test_the_newest_is_always_kept(keep: Keep, group: Group, zone: str) -> None:
    assert max(group)[1] in kept(keep, group, zone)


@given(KEEPS, GROUPS, st.sampled_from(ZONES), st.data())
def test_what_is_kept_stays_kept_when_candidates_are_deleted(
    keep: Keep, group: Group, zone: str, data: st.DataObject
) -> None:
    """All of them (it is idempotent), or only some, as a run with a limit does."""
    survivors = kept(keep, group, zone)
    candidates = sorted({image_id for _, image_id in group} - survivors)
    deleted = data.draw(st.sets(st.sampled_from(candidates)) if candidates else st.just(set()))
    for removed in (deleted, set(candidates)):
        left = [one for one in group if one[1] not in removed]
        assert kept(keep, left, zone) == survivors


@given(KEEPS, GROUPS, st.sampled_from(ZONES), st.data())
def test_a_larger_number_never_deletes_more(keep: Keep, group: Group, zone: str, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(list(Keep.model_fields)))
    more = keep.model_copy(update={field: getattr(keep, field) + data.draw(st.integers(1, 4))})
    assert kept(keep, group, zone) <= kept(more, group, zone)


@given(KEEPS, GROUPS, st.sampled_from(ZONES), st.integers(0, 4_000))
def test_without_within_days_the_passing_of_time_alone_deletes_nothing(
    keep: Keep, group: Group, zone: str, days: int
) -> None:
    timeless = keep.model_copy(update={"within_days": 0})
    later = NOW + timedelta(days=days)
    assert explain(timeless, group, zone, later) == explain(timeless, group, zone, NOW)


@pytest.mark.parametrize("period", _CALENDAR)
@given(KEEPS, GROUPS, st.sampled_from(["UTC", "Europe/Berlin"]), TIMES, st.integers(1, 40))
def test_a_flood_within_an_hour_displaces_at_most_one_of_a_calendar_rule(
    period: str, keep: Keep, group: Group, zone: str, time: datetime, size: int
) -> None:
    hour = time.replace(minute=0)
    flood = [(hour + timedelta(seconds=90 * at), 100 + at) for at in range(size)]
    before, after = explain(keep, group, zone), explain(keep, [*group, *flood], zone)
    assert len(_kept_by(period, before) - _kept_by(period, after)) <= 1


@given(KEEPS, GROUPS, st.sampled_from(["UTC", "Europe/Berlin"]), st.integers(1, 40))
def test_a_flood_displaces_no_more_than_one_of_each_calendar_rule_and_the_last(
    keep: Keep, group: Group, zone: str, size: int
) -> None:
    flood = [(NOW + timedelta(seconds=90 * at), 100 + at) for at in range(size)]
    calendar = sum(1 for period in _CALENDAR if getattr(keep, period))
    assert len(kept(keep, group, zone) - kept(keep, [*group, *flood], zone)) <= calendar + keep.last


@given(KEEPS, GROUPS, st.sampled_from(ZONES), st.sets(st.integers(1, 25)))
def test_what_is_not_counted_never_makes_another_a_candidate(
    keep: Keep, group: Group, zone: str, not_counted: set[int]
) -> None:
    counted = [one for one in group if one[1] not in not_counted]
    assert kept(keep, group, zone) - not_counted <= kept(keep, counted, zone)


def _kept_by(period: str, reasons: dict[int, tuple[Reason, ...]]) -> set[int]:
    return {
        image_id for image_id, found in reasons.items() if any(f"({period})" in one.text for one in found)
    }
