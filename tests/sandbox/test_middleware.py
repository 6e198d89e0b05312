"""What every request to the sandbox passes: token, rate limit, headers."""

import asyncio
import re

import httpx
import pytest

from sandbox import ManualClock, Sandbox, serve
from tests.support.sandbox_client import FIRST, asked, change, error_of, protected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/volumes", (404, "not_found")),
        ("GET", "/images/ubuntu", (404, "not_found")),
        ("GET", "/images/1", (404, "not_found")),
        ("GET", "/images/1/actions", (404, "not_found")),
        ("GET", "/actions/1", (404, "not_found")),
        ("POST", "/images", (405, "method_not_allowed")),
        ("PATCH", f"/images/{FIRST}", (405, "method_not_allowed")),
        ("GET", f"/images/{FIRST}/actions/change_protection", (405, "method_not_allowed")),
    ],
)
def test_an_error_body_is_answered_when_nothing_is_there(
    method: str, path: str, expected: tuple[int, str]
) -> None:
    with asked(snapshots=1) as (_, client):
        assert error_of(client.request(method, path)) == expected


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", "Basic sandbox", "Bearer sandbo\u00fc"]
)
def test_a_request_is_unauthorized_when_the_token_is_not_the_sandboxs(authorization: str) -> None:
    with asked(rate_limit=5) as (sandbox, client):
        answer = client.get("/images", headers={b"Authorization": authorization.encode()})
        assert error_of(answer) == (401, "unauthorized")
        assert sandbox.bucket.remaining == 5


@pytest.mark.parametrize("second", ["Bearer sandbox", "Bearer wrong"])
def test_a_request_is_unauthorized_when_it_has_two_tokens(second: str) -> None:
    with asked() as (_, client):
        headers = [("Authorization", "Bearer sandbox"), ("Authorization", second)]
        answer = client.send(httpx.Request("GET", f"{client.base_url}images", headers=headers))
        assert error_of(answer) == (401, "unauthorized")


@pytest.mark.parametrize(
    "authorization", ["bearer sandbox", "Bearer  sandbox", "Token sandbox", "sandbox", "Bearer sandbox2"]
)
def test_a_request_is_unauthorized_when_the_scheme_is_not_as_documented(authorization: str) -> None:
    with asked() as (_, client):
        answer = client.get("/images", headers={"Authorization": authorization})
        assert error_of(answer) == (401, "unauthorized")


def test_a_read_only_token_may_list_but_change_nothing() -> None:
    with asked(snapshots=1, read_only_token="reader") as (sandbox, client):
        client.headers["Authorization"] = "Bearer reader"
        assert client.get("/images").status_code == 200
        assert error_of(change(client, FIRST)) == (401, "token_readonly")
        assert not protected(sandbox)


def test_the_token_is_in_no_repr() -> None:
    sandbox = Sandbox(token="sec-ret", read_only_token="sec-ret-too")
    assert "sec-ret" not in repr(sandbox) + repr(sandbox.settings)


def test_every_answer_carries_its_id_and_the_state_of_the_bucket() -> None:
    with asked(rate_limit=3600, clock=ManualClock(1_780_000_000.0)) as (_, client):
        answers = [client.get("/images"), client.get("/nothing")]
    assert all(re.fullmatch("[0-9a-f]{16}", answer.headers["X-Correlation-Id"]) for answer in answers)
    assert [answer.headers["RateLimit-Limit"] for answer in answers] == ["3600", "3600"]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["3599", "3598"]
    assert [answer.headers["RateLimit-Reset"] for answer in answers] == ["1780000001", "1780000002"]


def test_a_request_is_rejected_at_no_cost_when_the_bucket_is_empty() -> None:
    clock = ManualClock(1_780_000_000.0)
    with asked(rate_limit=10, rate_refill_per_second=0.5, clock=clock) as (sandbox, client):
        sandbox.bucket.remaining = 1
        assert client.get("/images").headers["RateLimit-Remaining"] == "0"
        rejected = [client.get("/images") for _ in range(3)]
        clock.advance(2)
        assert client.get("/images").status_code == 200
    assert [error_of(answer) for answer in rejected] == [(429, "rate_limit_exceeded")] * 3
    assert rejected[-1].headers["RateLimit-Reset"] == "1780000020"


def test_the_bucket_holds_no_more_than_its_limit_when_it_has_refilled_for_long() -> None:
    clock = ManualClock()
    with asked(rate_limit=10, clock=clock) as (sandbox, client):
        client.get("/images")
        clock.advance(1_000_000)
        assert sandbox.bucket.remaining == 10


def test_requests_are_remembered_as_they_came() -> None:
    with asked(snapshots=1) as (sandbox, client):
        client.get("/images?type=snapshot&type=backup&label_selector=a%3Db")
        change(client, FIRST)
        client.get("/nothing")
        listed, changed, lost = sandbox.requests
    assert (listed.method, listed.path, listed.status) == ("GET", "/v1/images", 200)
    assert listed.query == [("type", "snapshot"), ("type", "backup"), ("label_selector", "a=b")]
    assert (changed.operation, changed.json, changed.status) == (
        "change_image_protection",
        {"delete": True},
        201,
    )
    assert (lost.operation, lost.status) == ("", 404)
    assert sandbox.calls("list_images", "change_image_protection") == [listed, changed]
    assert len({record.client_port for record in sandbox.requests}) == 1
    assert all(record.in_flight == 1 for record in sandbox.requests)


async def test_requests_in_flight_are_counted_when_they_overlap() -> None:
    sandbox = Sandbox(latency_seconds=0.03)
    headers = {"Authorization": "Bearer sandbox"}
    with serve(sandbox):
        async with httpx.AsyncClient(base_url=sandbox.endpoint, headers=headers, trust_env=False) as client:
            await asyncio.gather(*(client.get("/images") for _ in range(4)))
    assert sorted(record.in_flight for record in sandbox.requests) == [1, 2, 3, 4]
    assert len({record.client_port for record in sandbox.requests}) == 4
    assert all((record.finished or 0) - record.started >= 0.03 for record in sandbox.requests)
