"""The report of a prune run: its message, what is freed, and what decides whether it succeeded."""

import pickle
from decimal import Decimal

import pytest

from hetzner_cloud.prices import ImagePricing, Price, Pricing
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.prune_outcomes import PruneOutcome, PruneOutcomeName
from snapshot_protection.prune_report import (
    MOST_SEVERE_FIRST,
    ProjectPruneReport,
    PruneReport,
    SnapshotsNotPrunedError,
    format_freed,
    format_message,
)


def pricing(currency: str = "EUR", amount: str = "0.0110") -> Pricing:
    price = Price.model_validate({"net": amount, "gross": "1"})
    return Pricing(currency=currency, image=ImagePricing(price_per_gb_month=price))


def project(
    *names: PruneOutcomeName, name: str = "prod", size: float | None = 10, **fields: object
) -> ProjectPruneReport:
    outcomes = tuple(
        PruneOutcome(project=name, image_id=number, outcome=outcome, size=size)
        for number, outcome in enumerate(names, 1)
    )
    return ProjectPruneReport.model_validate({"project": name, "outcomes": outcomes, **fields})


def report(*projects: ProjectPruneReport, dry_run: bool = False, **fields: object) -> PruneReport:
    known = {"policy": "policy 'default'", "quarantine_days": 7, "max_deletions": 10}
    return PruneReport.model_validate({**known, "dry_run": dry_run, "projects": projects, **fields})


def test_the_message_counts_the_most_severe_first() -> None:
    found = report(project("kept", "pruned", "queued", pricing=pricing()))
    assert format_message(found) == (
        "3 snapshots: 1 pruned, 1 queued, 1 kept. 10.0 GB freed, 0.11 EUR (net) a month"
    )


def test_a_dry_run_counts_all_that_is_due_as_what_would_be_freed() -> None:
    found = report(project("would_prune", "queued", "quarantined", pricing=pricing()), dry_run=True)
    assert format_freed(found) == "20.0 GB would be freed, 0.22 EUR (net) a month"


@pytest.mark.parametrize("outcome", MOST_SEVERE_FIRST)
def test_a_run_succeeds_unless_something_failed_or_had_to_be_protected_again(
    outcome: PruneOutcomeName,
) -> None:
    failing = {"failed", "reprotected", "left_unprotected"}
    assert report(project(outcome)).succeeded is (outcome not in failing)


def test_a_project_that_could_not_be_read_fails_the_run_and_is_named() -> None:
    found = report(project(error=ErrorInfo(message="no permission")))
    assert not found.succeeded
    assert format_message(found) == "0 snapshots: none. Project 'prod': no permission"


def test_sums_are_by_currency_and_missing_where_a_price_is_not_known() -> None:
    first, second = project("pruned", pricing=pricing()), project("pruned", name="b", pricing=pricing("USD"))
    assert format_freed(report(first, second)) == "20.0 GB freed, 0.11 EUR (net) and 0.11 USD (net) a month"
    assert format_freed(report(first, project("pruned", name="b"))) == "20.0 GB freed"
    assert format_freed(report(project("kept"))) == ""


def test_two_names_of_one_project_count_once() -> None:
    found = report(project("pruned"), project("kept", name="b", same_as="prod"))
    assert [one.project for one in found.outcomes] == ["prod"]


def test_an_error_survives_pickling_with_its_report() -> None:
    error = SnapshotsNotPrunedError(report(project("failed")))
    assert pickle.loads(pickle.dumps(error)).report == error.report
    assert Decimal("0.0110") == pricing().image.price_per_gb_month.net
