"""Which projects an audit expects: a set in which the last writer wins, whatever order it is written in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_protection.embedding import embed
from snapshot_protection.known_projects import KnownProjects, merge

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMES = st.integers(0, 5).map(lambda hours: NOW + hours * HOUR)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), TIMES)
RECORDS = st.lists(st.builds(KnownProjects, seen=MAPPINGS, removed=MAPPINGS), min_size=1, max_size=5)


def test_a_project_is_expected_until_its_removal_is_confirmed_and_again_once_it_is_seen() -> None:
    seen = KnownProjects().with_seen(["a", "b"], NOW)
    assert seen.expected == {"a": NOW, "b": NOW}
    removed = seen.with_removed("a", NOW + HOUR)
    assert removed.expected == {"b": NOW}
    assert removed.with_seen(["a"], NOW + 2 * HOUR).expected == {"a": NOW + 2 * HOUR, "b": NOW}


def test_a_removal_is_confirmed_also_by_a_clock_that_is_behind() -> None:
    removed = KnownProjects().with_seen(["a"], NOW).with_removed("a", NOW - HOUR)
    assert removed.expected == {}
    assert set(removed.with_seen(["a"], NOW - HOUR).expected) == {"a"}


def test_a_removal_that_is_confirmed_during_an_audit_stands() -> None:
    before = KnownProjects().with_seen(["a", "b"], NOW - HOUR)
    audit = before.with_seen(["a", "b"], NOW)
    confirmed = before.with_removed("a", NOW + HOUR)
    assert merge([audit, confirmed]).expected == {"b": NOW}


@given(RECORDS)
def test_records_are_merged_in_any_order_and_any_number_of_times(records: list[KnownProjects]) -> None:
    merged = merge(records)
    assert merge(records[::-1]) == merged
    assert merge([merged, *records]) == merged
    names = {name for record in records for name in record.seen}
    assert set(merged.seen) == names


@given(RECORDS)
def test_a_record_survives_its_page(records: list[KnownProjects]) -> None:
    assert KnownProjects.load(records[0].dump()) == records[0]


def test_the_page_lists_what_is_expected_and_escapes_it() -> None:
    page = KnownProjects().with_seen(["prod", "a|b"], NOW).with_removed("old", NOW).dump()
    assert "| prod | 2026-11-25 03:00 |" in page
    assert "| a|b |" not in page
    assert "| old |" not in page
    assert "`hetzner-snapshots credentials delete NAME`" in page


@pytest.mark.parametrize(
    "page",
    [
        "",
        "nothing embedded",
        embed("known-projects", "{"),
        embed("known-projects", "[]"),
        embed("known-projects", '{"seen": {"a": "yesterday"}}'),
        embed("known-projects", '{"seen": {"a": "2026-11-25T03:00:00"}}'),  # of no time zone
        embed("audit-baseline", "{}"),
    ],
    ids=["empty", "other", "broken", "list", "no time", "no zone", "foreign"],
)
def test_a_page_that_holds_no_record_is_unreadable(page: str) -> None:
    assert KnownProjects.load(page) is None
