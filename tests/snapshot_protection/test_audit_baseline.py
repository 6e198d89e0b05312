"""Under which keys baselines and tables are stored."""

import re

from snapshot_protection.audit_baseline import baseline_key, earlier_baseline_keys, table_key

SELECTOR = "env=prod"


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
