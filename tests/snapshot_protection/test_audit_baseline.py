"""Under which keys baselines and tables are stored, and which policies a baseline knows."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from snapshot_protection.audit_baseline import (
    AuditBaseline,
    PolicyVersion,
    baseline_key,
    changed_policy,
    earlier_baseline_keys,
    table_key,
    with_policy,
)

SELECTOR = "env=prod"
NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)


def test_the_keys_of_all_snapshots_are_those_of_earlier_versions() -> None:
    assert baseline_key("prod", "") == "snapshot-audit-baseline-prod"
    assert table_key("prod", "") == "audited-snapshots-prod"
    assert earlier_baseline_keys("prod", "") == ["snapshot-audit-memory-prod"]


def test_no_project_has_the_key_of_another_one_with_a_label_selector() -> None:
    for make, kind in (
        (baseline_key, "snapshot-audit-selected-baseline"),
        (table_key, "audited-selected-snapshots"),
    ):
        key = make("prod", SELECTOR)
        assert re.fullmatch(rf"{kind}-[0-9a-f]{{16}}-prod", key)
        prefix = make("", "")
        assert not key.startswith(prefix)
        assert make("b", SELECTOR) not in {make(f"b-{key}", ""), make("a-b", SELECTOR), make("b", "env=test")}


def test_earlier_keys_with_a_label_selector_could_be_another_project_s() -> None:
    [_, earlier] = earlier_baseline_keys("prod", SELECTOR)
    assert earlier == baseline_key(earlier.removeprefix("snapshot-audit-baseline-"), "")


def version(name: str = "default", digest: str = "0", audited: datetime = NOW) -> PolicyVersion:
    return PolicyVersion(name, digest * 64, audited)


def test_a_baseline_knows_the_policy_of_each_name_and_forgets_what_was_not_followed_for_a_week() -> None:
    old, recent = version(audited=NOW - timedelta(days=7)), version(audited=NOW - timedelta(days=6.9))
    stored = with_policy({"old": old, "recent": recent, "default": recent}, "default", version(digest="f"))
    assert stored == {"recent": recent, "default": version(digest="f")}


def test_a_baseline_knows_five_policies_at_most() -> None:
    many = {f"p{number}": version(audited=NOW - timedelta(hours=number)) for number in range(1, 10)}
    assert set(with_policy(many, "default", version())) == {"p1", "p2", "p3", "p4", "default"}


@pytest.mark.parametrize(
    ("last", "now", "is_changed"),
    [
        (version(), version(), False),
        (version(), version(digest="f"), True),
        (version(), version(name="strict", digest="f"), True),
        (version(), version(name="built-in"), True),  # it had no rules, and it is no longer saved
        (version(name="built-in"), version(), False),
        (version(name="built-in"), version(digest="f"), True),
        (None, version(), False),
    ],
)
def test_a_policy_has_changed_if_the_last_audit_followed_what_says_anything_else(
    last: PolicyVersion | None, now: PolicyVersion, *, is_changed: bool
) -> None:
    last = last and last._replace(audited=YESTERDAY)
    older = {"other": version(digest="a", audited=YESTERDAY - timedelta(days=1))} if last else {}
    before = AuditBaseline(
        "prod", "", YESTERDAY, {}, policies={**older, **({"default": last} if last else {})}
    )
    assert changed_policy(before, now) == (last if is_changed else None)
    assert changed_policy(None, now) is None
