"""What `hetzner-snapshots unprotect` prints where no run can be started."""

import httpx
import pytest
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from cli.unprotect import start_unprotecting

PARAMETERS = {
    "project": "prod",
    "image_ids": [100000001],
    "reason": "moved to the new cluster",
    "hours": 24,
    "timeout_seconds": 900,
}
REQUEST = httpx.Request("POST", "http://user:password@127.0.0.1/api/deployments/")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ObjectNotFound(Exception()),
            "There is no deployment unprotect-snapshots/with-approval: run `make deploy`.",
        ),
        (
            PrefectHTTPStatusError("no", request=REQUEST, response=httpx.Response(409)),
            "The run could not be started: the Prefect API returned 409.",
        ),
        (httpx.ConnectError("refused"), "The run could not be started: ConnectError: refused."),
    ],
    ids=["not deployed", "rejected", "unreachable"],
)
def test_a_run_that_cannot_be_started_is_one_line_that_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, text: str
) -> None:
    async def fail(*_arguments: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr("cli.deployment_run.arun_deployment", fail)
    assert start_unprotecting(PARAMETERS) == 1
    assert capsys.readouterr().err == f"Failed: {text}\n"


def test_bad_input_is_rejected_before_a_run_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert start_unprotecting(PARAMETERS | {"reason": "because"}) == 1
    assert "The reason must have 10 characters or more" in capsys.readouterr().err
