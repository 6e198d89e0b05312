"""What an audit stores for the next one."""

import random
from base64 import b64encode
from datetime import UTC, datetime

import pytest

from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, TrendPoint

NOW = datetime(2026, 11, 25, 3, 0, 0, 123456, tzinfo=UTC)


def baseline_of(count: int, *, seed: int = 1) -> AuditBaseline:
    """Ids and descriptions as scattered as those of a real project."""
    chance = random.Random(seed)
    ids = sorted(chance.sample(range(100_000_000, 400_000_000), count))
    return AuditBaseline(
        audited=NOW,
        snapshots={
            image_id: BaselineEntry(
                chance.random() < 0.9, f"db-{chance.randrange(200)} nightly {chance.randrange(10**9)}"
            )
            for image_id in ids
        },
        trend=(TrendPoint(1, 2), TrendPoint(2, 2)),
    )


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_what_is_embedded_is_extracted(count: int) -> None:
    baseline = baseline_of(count)
    assert AuditBaseline.load(f"A text for people.\n\n{baseline.dump()}\n") == baseline


def test_descriptions_are_cut_and_only_the_last_trend_is_kept() -> None:
    baseline = AuditBaseline(
        NOW,
        {7: BaselineEntry(protected=True, description="é" * 100)},
        tuple(TrendPoint(n, 99) for n in range(50)),
    )
    kept = AuditBaseline.load(baseline.dump())
    assert kept
    assert kept.snapshots == {7: BaselineEntry(protected=True, description="é" * 40)}
    assert kept.trend == baseline.trend[-30:]


def test_ten_thousand_snapshots_are_kept_in_less_than_a_quarter_of_a_megabyte() -> None:
    assert len(baseline_of(10_000).dump()) < 250_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no baseline",
        "<!-- audit-baseline  -->",
        "<!-- audit-baseline !!! -->",
        "<!-- audit-baseline AAAA -->",
        f"<!-- audit-baseline {b64encode(b'x' * 100).decode()} -->",
        baseline_of(3).dump().replace("audit-baseline ", "audit-baseline AA"),
        baseline_of(3).dump()[:-20] + " -->",
    ],
)
def test_what_cannot_be_extracted_is_no_baseline(text: str) -> None:
    assert AuditBaseline.load(text) is None


def test_a_description_cannot_end_the_comment_it_is_kept_in() -> None:
    baseline = AuditBaseline(NOW, {7: BaselineEntry(protected=True, description="--> <script>")})
    assert baseline.dump().count("-->") == 1
    assert AuditBaseline.load(baseline.dump()) == baseline
