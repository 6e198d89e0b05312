"""Every outcome and finding has all that a report needs of it; what is missing is named, not met in a run."""

from io import StringIO
from typing import get_args

import pytest
from rich.console import Console

from cli.tables import print_protection
from snapshot_protection.audit_finding import FindingName
from snapshot_protection.audit_report import LABELS
from snapshot_protection.outcomes import OutcomeName, SnapshotOutcome
from snapshot_protection.protection_report import format_headline, format_outcome_name
from tests.support.protection_reports import outcome, report


@pytest.mark.parametrize("name", get_args(OutcomeName))
def test_an_outcome_is_shown_in_the_table_of_a_terminal(name: OutcomeName) -> None:
    console = Console(width=80, file=StringIO())
    print_protection(report(outcome(1, name)), console)
    assert isinstance(console.file, StringIO)
    assert name in console.file.getvalue()


@pytest.mark.parametrize(
    "name", sorted(set(get_args(OutcomeName)) - {"protected", "already_protected", "would_protect"})
)
def test_an_outcome_other_than_protected_is_counted_in_the_message(name: OutcomeName) -> None:
    assert f"1 {format_outcome_name(name)}" in format_headline(
        report(outcome(1, "protected"), outcome(2, name))
    )


@pytest.mark.parametrize("name", get_args(OutcomeName))
def test_a_run_succeeds_unless_a_snapshot_needs_attention(
    name: OutcomeName, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = outcome(1, name)
    assert report(one).succeeded is not one.needs_attention
    monkeypatch.setattr(SnapshotOutcome, "needs_attention", True)
    assert not report(one).succeeded


def test_every_finding_has_a_label_in_the_order_of_severity() -> None:
    assert tuple(LABELS) == get_args(FindingName)
