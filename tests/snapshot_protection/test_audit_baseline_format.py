"""How baselines are stored: what is read is validated, and bounded."""

import json
import random
import tracemalloc
import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, PolicyVersion, TrendPoint
from snapshot_protection.audit_baseline_format import StoredPage, dump_baseline, load_baseline
from snapshot_protection.embedding import embed, extract
from tests.support.stored_baselines import stored, stored_by_0_4_0

NOW = datetime(2026, 11, 25, 3, 0, 0, 123456, tzinfo=UTC)
POLICY = {"key": "default", "name": "default", "digest": "f" * 64, "audited": 1.0, "exempt": "000"}
POLICIES = {
    "default": PolicyVersion("built-in", "0" * 64, NOW),
    "strict": PolicyVersion("strict", "f" * 64, NOW - timedelta(days=1)),
}
FOLDED = frozenset({"a9c5d3a0-0000-4000-8000-000000000001"})


def baseline_of(count: int, *, seed: int = 1) -> AuditBaseline:
    """Ids and descriptions as scattered as those of a real project."""
    chance = random.Random(seed)
    ids = sorted(chance.sample(range(100_000_000, 400_000_000), count))
    return AuditBaseline(
        project="prod",
        label_selector="env=prod",
        listed=NOW,
        snapshots={image_id: entry(chance) for image_id in ids},
        trend=(TrendPoint(1, 2), TrendPoint(2, 2)),
        folded=FOLDED,
        history_lost=NOW - timedelta(days=2),
        policies=POLICIES,
    )


def entry(chance: random.Random) -> BaselineEntry:
    text = f"db-{chance.randrange(200)} nightly {chance.randrange(10**9)}"
    exempt_by = frozenset(key for key in POLICIES if chance.random() < 0.1)
    return state(chance, text)._replace(exempt_by=exempt_by, approved=chance.random() < 0.01)


def state(chance: random.Random, text: str) -> BaselineEntry:
    match chance.random():
        case number if number < 0.01:
            return BaselineEntry("removed", text, NOW - timedelta(days=1), "action 7 of 2026-11-24")
        case number if number < 0.02:
            return BaselineEntry("missing", text, NOW - timedelta(days=3))
        case number:
            return BaselineEntry("unprotected" if number < 0.1 else "protected", text)


def load(page: StoredPage) -> AuditBaseline | None:
    return load_baseline(page, "prod", "env=prod")


def fields_of(baseline: AuditBaseline) -> dict[str, Any]:
    fields = json.loads(extract("audit-baseline", dump_baseline(baseline)) or "")
    assert isinstance(fields, dict)
    return fields


def page_of(**changed: Any) -> StoredPage:
    return StoredPage("1", embed("audit-baseline", json.dumps(fields_of(baseline_of(3)) | changed)), "")


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_what_is_stored_is_loaded(count: int) -> None:
    baseline = baseline_of(count)
    assert load(stored("1", baseline)) == baseline


def test_descriptions_and_evidence_are_cut_and_only_the_last_trend_is_kept() -> None:
    long = BaselineEntry("removed", "é" * 100, NOW, "e" * 1_000)
    baseline = AuditBaseline("prod", "env=prod", NOW, {7: long}, tuple(TrendPoint(n, 99) for n in range(50)))
    kept = load(stored("1", baseline))
    assert kept
    assert kept.snapshots == {7: BaselineEntry("removed", "é" * 40, NOW, "e" * 120)}
    assert kept.trend == baseline.trend[-30:]


def test_ten_thousand_snapshots_are_kept_in_less_than_a_quarter_of_a_megabyte() -> None:
    assert len(dump_baseline(baseline_of(10_000))) < 250_000


def test_what_was_stored_before_there_were_policies_is_loaded_and_nothing_is_exempt() -> None:
    baseline = baseline_of(3)
    fields = {key: value for key, value in fields_of(baseline).items() if key not in {"approved", "policies"}}
    kept = load(StoredPage("1", embed("audit-baseline", json.dumps(fields)), ""))
    assert kept
    assert kept.policies == {}
    assert kept.snapshots == {
        image_id: one._replace(exempt_by=frozenset(), approved=False)
        for image_id, one in baseline.snapshots.items()
    }


def test_what_0_4_0_stored_is_loaded_with_all_that_it_knew() -> None:
    kept = load(stored_by_0_4_0("1", {7: True, 9: False}, NOW))
    assert kept == AuditBaseline(
        "prod",
        "env=prod",
        NOW,
        {7: BaselineEntry("protected", "snapshot 7"), 9: BaselineEntry("unprotected", "snapshot 9")},
        (TrendPoint(1, 2),),
        folded=None,
    )


def test_what_is_another_project_s_or_selector_s_is_not_loaded() -> None:
    page = stored("1", baseline_of(3))
    assert load_baseline(page, "prod", "env=test") is None
    assert load_baseline(page, "other", "env=prod") is None
    assert load_baseline(stored_by_0_4_0("1", {7: True}, NOW, project="prod-0a1b2c3d"), "prod", "") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no baseline",
        "<!-- audit-baseline  -->",
        "<!-- audit-baseline !!! -->",
        "<!-- audit-baseline AAAA -->",
        f"<!-- audit-baseline {b64encode(b'x' * 100).decode()} -->",
        dump_baseline(baseline_of(3)).replace("audit-baseline ", "audit-baseline AA"),
        dump_baseline(baseline_of(3))[:-20] + " -->",
        embed("audit-baseline", "[" * 100_000),
        embed("audit-baseline", "null"),
    ],
    ids=range(10),
)
def test_what_cannot_be_read_is_no_baseline(text: str) -> None:
    assert load(StoredPage("1", text, "")) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 3},
        {"version": True},
        {"version": "2"},
        {"project": "other"},
        {"label_selector": ""},
        {"listed": float("nan")},
        {"listed": float("inf")},
        {"listed": 1e308},
        {"listed": -1},
        {"listed": True},
        {"listed": "2026-11-25"},
        {"ids": [True, 1, 1]},
        {"ids": [1.5, 1, 1]},
        {"ids": [0, 1, 1]},
        {"ids": [-1, 1, 1]},
        {"ids": [2**53, 1, 1]},
        {"ids": [2**53 - 1, 2**53 - 1, 1]},
        {"ids": [1, 1]},
        {"ids": {"1": 1}},
        {"states": "11"},
        {"states": "12x"},
        {"states": "11r", "since": [], "evidence": []},
        {"states": "11r", "since": [float("nan")], "evidence": [""]},
        {"states": "11r", "since": [1e308], "evidence": [""]},
        {"states": "11r", "since": [1.0], "evidence": []},
        {"descriptions": [None, "", ""]},
        {"descriptions": ["x" * 41, "", ""]},
        {"trend": [[1, True]]},
        {"trend": [[1]]},
        {"trend": [[-1, 2]]},
        {"trend": [[1, 1e308]]},
        {"trend": [[0, 0]] * 31},
        {"folded": ["x" * 37]},
        {"folded": ["x"] * 101},
        {"history_lost": 1e308},
        {"approved": "00"},
        {"approved": "00x"},
        {"policies": [POLICY | {"exempt": "00"}]},
        {"policies": [POLICY | {"exempt": "0000"}]},
        {"policies": [POLICY | {"exempt": "00x"}]},
        {"policies": [POLICY | {"digest": "f"}]},
        {"policies": [POLICY | {"digest": "F" * 64}]},
        {"policies": [POLICY | {"audited": 1e308}]},
        {"policies": [POLICY | {"key": "x" * 256}]},
        {"policies": [POLICY] * 21},
        {"policies": [{}]},
    ],
    ids=str,
)
def test_a_baseline_with_one_absurd_field_is_not_loaded(changed: dict[str, Any]) -> None:
    assert load(page_of(policies=[POLICY]))
    assert load(page_of(**changed)) is None


@pytest.mark.parametrize(
    "changed",
    [{"audited": 1e308}, {"ids": [True]}, {"protected": "x"}, {"protected": ""}, {"trend": [["a", "b"]]}],
    ids=str,
)
def test_what_0_4_0_stored_is_validated_as_well(changed: dict[str, Any]) -> None:
    assert load(stored_by_0_4_0("1", {7: True}, NOW, **changed)) is None


def test_a_page_that_decompresses_to_more_than_it_may_costs_a_bounded_amount_of_memory() -> None:
    stream = zlib.compressobj(9)
    packed = b"".join(stream.compress(b" " * 2**20) for _ in range(128)) + stream.flush()
    page = StoredPage("1", f"<!-- audit-baseline {b64encode(packed).decode()} -->", "")
    tracemalloc.start()
    try:
        assert load(page) is None
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_what_is_too_large_to_be_read_is_not_stored() -> None:
    with pytest.raises(ValueError, match="can be stored"):
        embed("audit-baseline", "x" * 11, max_bytes=10)
    assert (
        extract("audit-baseline", embed("audit-baseline", "x" * 10, max_bytes=10), max_bytes=10) == "x" * 10
    )


def test_an_image_with_an_impossible_id_costs_no_other_one_its_baseline() -> None:
    kept = BaselineEntry("protected")
    baseline = AuditBaseline("prod", "env=prod", NOW, dict.fromkeys((-1, 0, 7, 2**53 - 1, 2**53), kept))
    loaded = load(stored("1", baseline))
    assert loaded
    assert set(loaded.snapshots) == {7, 2**53 - 1}


def test_a_description_cannot_end_the_comment_it_is_kept_in() -> None:
    baseline = AuditBaseline("prod", "env=prod", NOW, {7: BaselineEntry("protected", "--> <script>")})
    assert dump_baseline(baseline).count("-->") == 1
    assert load(stored("1", baseline)) == baseline
