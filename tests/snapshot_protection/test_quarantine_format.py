"""How a quarantine is stored, and what is known from its versions, of which any may be lost or corrupted."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_cloud.models import MAX_ID
from snapshot_protection.audit_baseline_format import StoredPage
from snapshot_protection.embedding import embed, extract
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.quarantine_format import (
    dump_quarantine,
    load_quarantine,
    quarantine_key,
    read_quarantine,
)
from tests.support.retention_worlds import NOW

DAY = timedelta(days=1)
SCRIBBLED = StoredPage("scribbled", "scribbled over", "")


def record(
    since: dict[int, datetime], observed: datetime = NOW, *folded: str, project: str = "prod"
) -> Quarantine:
    return Quarantine(project, "default", observed, since, frozenset(folded))


def page(version: str, quarantine: Quarantine) -> StoredPage:
    return StoredPage(version, f"For you.\n\n{dump_quarantine(quarantine)}\n", "")


_TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 31)).map(  # noqa: DTZ001 - made aware below
    lambda time: time.replace(tzinfo=NOW.tzinfo)
)


@given(_TIMES, st.dictionaries(st.integers(1, MAX_ID), _TIMES), st.sets(st.text("abc", max_size=3)))
def test_a_quarantine_is_read_as_it_was_stored(
    observed: datetime, since: dict[int, datetime], folded: set[str]
) -> None:
    stored = record(since, observed, *folded)
    assert load_quarantine(f"# Page\n\n{dump_quarantine(stored)}\n", "prod", "default") == stored


def test_that_of_another_project_or_policy_is_not_read() -> None:
    stored = dump_quarantine(record({1: NOW}))
    assert load_quarantine(stored, "prod", "default")
    assert load_quarantine(stored, "dev", "default") is None
    assert load_quarantine(stored, "prod", "strict") is None


def test_no_two_projects_and_policies_have_the_same_key() -> None:
    pairs = [("a", "b-c"), ("a-b", "c"), ("c", "a-b"), ("c-a", "b"), ("b", "c-a"), ("a", "1-b"), ("b-a", "1")]
    assert len({quarantine_key(project, policy) for project, policy in pairs}) == len(pairs)
    assert quarantine_key("prod", "default") == "snapshot-quarantine-7-default-prod"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"ids": [1]},
        {"ids": [0, 1]},
        {"ids": [1, -1]},
        {"ids": [MAX_ID, 1]},
        {"ids": ["1", 1]},
        {"ids": [True, 1]},
        {"since": [1]},
        {"since": [-1, 1]},
        {"since": [1, 1e300]},
        {"since": [1, float("nan")]},
        {"since": ["1", 1]},
        {"observed": None},
        {"observed": 4_102_444_801},
        {"folded": ["a" * 37]},
        {"folded": ["a"] * 101},
        {"project": None},
        {"more": 1},
    ],
    ids=repr,
)
def test_what_is_not_in_the_format_is_not_read(changes: dict[str, Any]) -> None:
    text = extract("prune-quarantine", dump_quarantine(record({3: NOW, 5: NOW})))
    assert text
    assert load_quarantine(embed("prune-quarantine", text), "prod", "default")
    corrupted = embed("prune-quarantine", json.dumps(json.loads(text) | changes))
    assert load_quarantine(corrupted, "prod", "default") is None


def test_a_small_page_that_would_unpack_to_a_large_one_is_not_read() -> None:
    bomb = embed("prune-quarantine", json.dumps({"project": "prod", "x": " " * 17 * 1024 * 1024}))
    assert len(bomb) < 100_000
    assert load_quarantine(bomb, "prod", "default") is None


def test_ten_thousand_candidates_are_a_small_page() -> None:
    since = {100_000_000 + 7 * at: NOW - at % 7 * DAY for at in range(10_000)}
    assert len(dump_quarantine(record(since))) < 100_000


def test_a_version_that_a_later_one_knows_adds_nothing() -> None:
    older, newer = record({}, NOW - DAY), record({1: NOW - 3 * DAY}, NOW, "a")
    for order in permutations([page("a", older), page("b", newer)]):
        history = read_quarantine(order, "prod", "default")
        assert history.quarantine == newer
        assert history.versions == {"a", "b"}
        assert history.unreadable == 0


def test_two_versions_that_do_not_know_each_other_are_merged() -> None:
    one, other = record({1: NOW - 3 * DAY, 2: NOW}, NOW, "a"), record({1: NOW - DAY}, NOW, "a", "x")
    for order in permutations([page("b", one), page("c", other), page("a", record({}))]):
        assert read_quarantine(order, "prod", "default").quarantine == record({1: NOW - DAY}, NOW, "a", "x")


def test_a_first_run_begins_the_quarantine() -> None:
    history = read_quarantine([], "prod", "default")
    assert history.restart_reason(NOW) == "there is no earlier run"
    assert history.observe("prod", "default", [1], NOW) == record({1: NOW})


def test_a_lost_record_restarts_the_quarantine_once() -> None:
    intact = page("a", record({1: NOW - 9 * DAY}, NOW - DAY))
    history = read_quarantine([SCRIBBLED, intact], "prod", "default")  # the newer could be the more cautious
    assert history.quarantine is None
    assert history.unreadable == 1
    assert history.restart_reason(NOW) == "what earlier runs stored cannot be read"
    restarted = history.observe("prod", "default", [1], NOW)
    assert restarted == record({1: NOW}, NOW, "a", "scribbled")
    history = read_quarantine([page("b", restarted), SCRIBBLED, intact], "prod", "default")
    assert history.quarantine == restarted
    assert history.restart_reason(NOW + DAY) == ""


def test_a_run_goes_on_with_what_earlier_ones_stored_and_knows_all_versions() -> None:
    pages = [page("b", record({1: NOW - DAY}, NOW, "a")), page("a", record({1: NOW - DAY}, NOW - DAY))]
    history = read_quarantine(pages, "prod", "default")
    assert history.restart_reason(NOW + DAY) == ""
    assert history.restart_reason(NOW + 3 * DAY) == "the last run was more than 48 hours earlier"
    observed = history.observe("prod", "default", [1, 2], NOW + DAY)
    assert observed == record({1: NOW - DAY, 2: NOW + DAY}, NOW + DAY, "a", "b")
    assert not read_quarantine(pages[:1], "prod", "default").is_whole
    assert read_quarantine(pages, "prod", "default").is_whole


def test_one_that_is_too_large_to_be_read_is_not_stored() -> None:
    with pytest.raises(ValueError, match="folded"):
        dump_quarantine(replace(record({}), folded=frozenset(map(str, range(101)))))
