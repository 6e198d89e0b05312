"""What `hetzner-snapshots prune` prints where no run can be started."""

from typing import Any

import httpx
import pytest
from prefect.exceptions import ObjectNotFound

from cli.prune import start_pruning

PARAMETERS = {
    "projects": ["prod"],
    "policy": "default",
    "dry_run": False,
    "quarantine_days": 7,
    "max_deletions": 10,
    "timeout_seconds": 900,
}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ObjectNotFound(Exception()),
            "There is no deployment prune-snapshots/on-demand: run `make deploy`.",
        ),
        (httpx.ConnectError("refused"), "The run could not be started: ConnectError: refused."),
    ],
    ids=["not deployed", "unreachable"],
)
def test_a_run_that_cannot_be_started_is_one_line_that_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, text: str
) -> None:
    async def fail(*_arguments: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr("cli.deployment_run.arun_deployment", fail)
    assert start_pruning(PARAMETERS) == 1
    assert capsys.readouterr().err.strip() == f"Failed: {text}"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"quarantine_days": -1}, "The quarantine must be 0 days or more, not -1."),
        ({"max_deletions": 0}, "The number of deletions must be 1 or more, not 0."),
    ],
)
def test_a_parameter_that_is_not_usable_starts_no_run(
    capsys: pytest.CaptureFixture[str], parameters: dict[str, Any], text: str
) -> None:
    assert start_pruning(PARAMETERS | parameters) == 1
    assert capsys.readouterr().err.strip() == f"Failed: {text}"
