"""Responses that faults make, with any status and to any method."""

from typing import Any

import httpx
import pytest

from sandbox import Fault
from tests.support.sandbox_client import FIRST, asked

CHANGE = f"/images/{FIRST}/actions/change_protection"


@pytest.mark.parametrize("kind", ["error", "html", "empty", "truncated", "wrong_shape", "cut"])
@pytest.mark.parametrize("status", [200, 204, 205, 301, 304, 404, 500, 599])
@pytest.mark.parametrize(("method", "path"), [("GET", "/images"), ("HEAD", "/images"), ("POST", CHANGE)])
def test_the_sandbox_itself_does_not_fail_when_a_fault_has_any_status(
    kind: Any, status: int, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind=kind, status=status))
        try:
            answered = client.request(method, path, json={"delete": True}).status_code
        except httpx.RemoteProtocolError:
            assert kind == "cut"
            answered = status
    assert answered == status
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.parametrize("status", [204, 304])
def test_a_fault_has_no_body_when_its_status_allows_none(status: int) -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="html", status=status))
        assert client.get("/images").content == b""


def test_half_a_surrogate_pair_arrives_when_a_fault_has_one() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(
            Fault(kind="html", body="\ud83d", times=1), Fault(kind="error", message="\ud83d", code="\ud83d")
        )
        assert client.get("/images").content == b"\xed\xa0\xbd"
        assert client.get("/images").content.count(b'"\\ud83d"') == 2
