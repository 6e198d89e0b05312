"""The sandbox behaves as the API does, asked over real HTTP."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from hetzner_cloud.sandbox import Fault, ManualClock, Sandbox, serve
from hetzner_cloud.sandbox.__main__ import main

Ask = Callable[..., httpx.Response]
FIRST = 100_000_001


@contextmanager
def asked(*, clock: ManualClock | None = None, **settings: object) -> Iterator[tuple[Sandbox, httpx.Client]]:
    sandbox = Sandbox(clock=clock or ManualClock(), **settings)
    with (
        serve(sandbox),
        httpx.Client(
            base_url=sandbox.endpoint, headers={"Authorization": f"Bearer {sandbox.token}"}, trust_env=False
        ) as client,
    ):
        yield sandbox, client


def ids_of(answer: httpx.Response, name: str = "images") -> list[int]:
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()[name]]


def error_of(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"}
    return answer.status_code, error["code"]


def change(client: httpx.Client, image_id: int, *, delete: bool = True) -> httpx.Response:
    return client.post(f"/images/{image_id}/actions/change_protection", json={"delete": delete})


def protected(sandbox: Sandbox, image_id: int = FIRST) -> bool:
    value = sandbox.images[image_id]["protection"]["delete"]
    assert isinstance(value, bool)
    return value


# Listing images


def test_images_are_paged_with_meta_when_there_are_more_than_a_page_holds() -> None:
    with asked(snapshots=60) as (_, client):
        first, last = client.get("/images", params={"per_page": 50}), client.get("/images?page=2&per_page=50")
    assert ids_of(first) + ids_of(last) == list(range(FIRST, FIRST + 60))
    assert first.json()["meta"]["pagination"] == {
        "page": 1,
        "per_page": 50,
        "previous_page": None,
        "next_page": 2,
        "last_page": 2,
        "total_entries": 60,
    }
    assert last.json()["meta"]["pagination"]["next_page"] is None
    assert last.json()["meta"]["pagination"]["previous_page"] == 1


def test_a_page_holds_25_images_when_none_is_asked_for() -> None:
    with asked(snapshots=60) as (_, client):
        assert len(ids_of(client.get("/images"))) == 25


def test_the_list_is_one_empty_page_when_there_is_no_image() -> None:
    with asked(snapshots=0) as (_, client):
        answer = client.get("/images")
    assert ids_of(answer) == []
    assert answer.json()["meta"]["pagination"]["last_page"] == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=backup", [4]),
        ("type=backup&type=system", [4, 6]),
        ("status=creating", [3]),
        ("architecture=arm", [2, 6]),
        ("name=ubuntu-22.04", [6]),
        ("name=ubuntu-22.04&include_deprecated=true", [5, 6]),
        ("name=ubuntu", []),
        ("bound_to=40000001", [4]),
        ("label_selector=env=prod", [1, 2]),
        ("label_selector=env=prod,role", [1]),
        ("label_selector=!env&type=snapshot", [3]),
        ("type=snapshot&sort=created:desc", [2, 1, 3]),
        ("type=snapshot&sort=name&sort=id:desc", [3, 2, 1]),
        ("type=snapshot&sort=id", [1, 2, 3]),
    ],
)
def test_images_are_filtered_and_sorted_when_asked_to(query: str, expected: list[int]) -> None:
    with asked(snapshots=0, first_image_id=1) as (sandbox, client):
        sandbox.add_snapshot(labels={"env": "prod", "role": "db"}, created="2026-01-02T00:00:00Z")
        sandbox.add_snapshot(labels={"env": "prod"}, architecture="arm", created="2026-01-03T00:00:00Z")
        sandbox.add_snapshot(status="creating", created="2026-01-01T00:00:00Z")
        sandbox.add_snapshot(type="backup", bound_to=40000001)
        sandbox.add_snapshot(type="system", name="ubuntu-22.04", deprecation={"announced": "2026-01-01"})
        sandbox.add_snapshot(type="system", name="ubuntu-22.04", architecture="arm")
        assert ids_of(client.get(f"/images?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=snapshots", "type"),
        ("type=snapshot,backup", "type"),
        ("status=gone", "status"),
        ("architecture=mips", "architecture"),
        ("sort=size", "sort"),
        ("sort=id:up", "sort"),
        ("page=0", "page"),
        ("per_page=51", "per_page"),
        ("per_page=many", "per_page"),
        ("bound_to=web", "bound_to"),
        ("include_deprecated=perhaps", "include_deprecated"),
        ("label_selector=a%20b", "label_selector"),
    ],
)
def test_the_field_is_named_when_a_parameter_is_not_valid(query: str, field: str) -> None:
    with asked(snapshots=1) as (_, client):
        answer = client.get(f"/images?{query}")
    assert error_of(answer) == (422, "invalid_input")
    assert [fault["name"] for fault in answer.json()["error"]["details"]["fields"]] == [field]


def test_the_project_is_seeded_as_the_settings_say() -> None:
    sandbox = Sandbox(
        snapshots=5, protected=2, creating=1, backups=3, system_images=30, apps=4, project="shop"
    )
    images = list(sandbox.images.values())
    kinds = [image["type"] for image in images]
    assert {kind: kinds.count(kind) for kind in kinds} == {"snapshot": 5, "backup": 3, "system": 30, "app": 4}
    assert [image["protection"]["delete"] for image in images[:5]] == [True, True, False, False, False]
    assert [image["image_size"] is None for image in images[:5]] == [False, False, False, False, True]
    assert images[0]["description"].startswith("shop db-1 ")


@pytest.mark.parametrize(
    "settings", [{"snapshots": 1, "protected": 2}, {"snapshot": 1}, {"latency_seconds": -1}]
)
def test_settings_are_refused_when_they_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="SandboxSettings"):
        Sandbox(**settings)


# One image


def test_an_image_is_returned_when_asked_for_by_id() -> None:
    with asked(snapshots=1) as (sandbox, client):
        assert client.get(f"/images/{FIRST}").json() == {"image": sandbox.images[FIRST]}


def test_a_protected_snapshot_stays_when_it_is_to_be_deleted() -> None:
    with asked(snapshots=1, protected=1) as (sandbox, client):
        assert error_of(client.delete(f"/images/{FIRST}")) == (423, "protected")
        assert FIRST in sandbox.images


def test_an_unprotected_snapshot_is_gone_when_it_is_deleted() -> None:
    with asked(snapshots=1) as (_, client):
        assert client.delete(f"/images/{FIRST}").status_code == 204
        assert error_of(client.get(f"/images/{FIRST}")) == (404, "not_found")


def test_a_system_image_stays_when_it_is_to_be_deleted() -> None:
    with asked(snapshots=0, system_images=1) as (_, client):
        assert error_of(client.delete(f"/images/{FIRST}")) == (422, "unsupported_error")


def test_a_backup_becomes_a_snapshot_when_it_is_updated_so() -> None:
    with asked(snapshots=0, backups=1) as (_, client):
        changes = {"description": "kept", "labels": {"keep": ""}, "type": "snapshot"}
        image = client.put(f"/images/{FIRST}", json=changes).json()["image"]
    assert {key: image[key] for key in changes} == changes


# Changing protection


def test_protection_takes_effect_when_the_action_ends() -> None:
    clock = ManualClock(1_780_000_000.0)
    with asked(snapshots=1, action_seconds=10, clock=clock) as (sandbox, client):
        answer = change(client, FIRST)
        action = answer.json()["action"]
        clock.advance(4)
        halfway = client.get(f"/actions/{action['id']}").json()["action"]
        before = protected(sandbox)
        clock.advance(6)
        ended = client.get(f"/images/actions/{action['id']}").json()["action"]
        after = client.get(f"/images/{FIRST}").json()["image"]["protection"]
    assert answer.status_code == 201
    assert action == {
        "id": 504538401287250,
        "command": "change_protection",
        "status": "running",
        "progress": 0,
        "started": "2026-05-28T20:26:40Z",
        "finished": None,
        "resources": [{"id": FIRST, "type": "image"}],
        "error": None,
    }
    assert (halfway["status"], halfway["progress"], before) == ("running", 40, False)
    assert (ended["status"], ended["progress"], after) == ("success", 100, {"delete": True})
    assert ended["finished"] == "2026-05-28T20:26:50Z"


def test_the_action_is_final_in_the_answer_when_actions_take_no_time() -> None:
    with asked(snapshots=1, protected=1) as (sandbox, client):
        assert change(client, FIRST, delete=False).json()["action"]["status"] == "success"
        assert not protected(sandbox)


def test_nothing_is_changed_when_the_body_names_no_flag() -> None:
    with asked(snapshots=1, protected=1) as (sandbox, client):
        assert client.post(f"/images/{FIRST}/actions/change_protection", json={}).status_code == 201
        assert protected(sandbox)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "json_error")),
        (b"{delete}", (400, "json_error")),
        (b"[]", (400, "json_error")),
        (b'{"delete": "yes"}', (422, "invalid_input")),
        (b'{"delete": 1}', (422, "invalid_input")),
        (b'{"delete": true, "rebuild": true}', (422, "invalid_input")),
    ],
)
def test_a_change_is_refused_when_its_body_is_not_as_documented(
    body: bytes, expected: tuple[int, str]
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        answer = client.post(f"/images/{FIRST}/actions/change_protection", content=body)
        assert error_of(answer) == expected
        assert sandbox.actions == []


@pytest.mark.parametrize(
    ("settings", "image_id", "expected"),
    [
        ({"snapshots": 1}, FIRST + 1, (404, "not_found")),
        ({"snapshots": 1, "creating": 1}, FIRST, (423, "locked")),
        ({"snapshots": 0, "backups": 1}, FIRST, (422, "unsupported_error")),
        ({"snapshots": 0, "system_images": 1}, FIRST, (422, "unsupported_error")),
        ({"snapshots": 0, "apps": 1}, FIRST, (422, "unsupported_error")),
    ],
)
def test_a_change_is_refused_when_the_image_does_not_allow_it(
    settings: dict[str, Any], image_id: int, expected: tuple[int, str]
) -> None:
    with asked(**settings) as (sandbox, client):
        assert error_of(change(client, image_id)) == expected
        assert sandbox.actions == []


def test_a_creating_snapshot_can_be_changed_when_it_has_become_available() -> None:
    clock = ManualClock()
    with asked(snapshots=1, creating=1, creating_seconds=5, clock=clock) as (sandbox, client):
        assert change(client, FIRST).status_code == 423
        clock.advance(5)
        assert change(client, FIRST).status_code == 201
        assert sandbox.images[FIRST]["image_size"] is not None


@pytest.mark.parametrize(("lock", "expected"), [(False, 201), (True, 423)])
def test_a_second_change_is_locked_out_when_the_sandbox_is_told_so(*, lock: bool, expected: int) -> None:
    with asked(snapshots=1, action_seconds=1, lock_while_running=lock) as (_, client):
        change(client, FIRST)
        assert change(client, FIRST).status_code == expected


def test_the_snapshot_may_be_gone_when_its_action_ends() -> None:
    clock = ManualClock()
    with asked(snapshots=1, action_seconds=1, clock=clock) as (sandbox, client):
        change(client, FIRST)
        sandbox.delete_image(FIRST)
        clock.advance(1)
        assert client.get("/images").json()["images"] == []
        assert [action["status"] for action in sandbox.actions] == ["success"]


def test_a_change_behind_the_clients_back_is_seen_with_its_action() -> None:
    with asked(snapshots=1) as (sandbox, client):
        action_id = sandbox.set_protection(FIRST, delete=True)
        assert client.get(f"/images/{FIRST}").json()["image"]["protection"] == {"delete": True}
        assert ids_of(client.get(f"/images/{FIRST}/actions"), "actions") == [action_id]


# Actions


def start(client: httpx.Client, count: int, first: int = FIRST) -> list[int]:
    return [change(client, first + number).json()["action"]["id"] for number in range(count)]


@pytest.mark.parametrize("path", ["/actions", "/images/actions"])
def test_only_25_actions_are_answered_when_more_are_asked_for(path: str) -> None:
    with asked(snapshots=30) as (_, client):
        started = start(client, 30)
        answer = client.get(path, params={"id": started, "per_page": 50})
    assert ids_of(answer, "actions") == started[:25]


def test_unknown_actions_are_left_out_when_several_are_asked_for() -> None:
    with asked(snapshots=1) as (_, client):
        started = start(client, 1)
        answer = client.get("/actions", params={"id": [*started, 7]})
        nothing = client.get("/images/actions?id=7")
    assert ids_of(answer, "actions") == started
    assert "meta" not in answer.json()
    assert nothing.json()["meta"]["pagination"]["total_entries"] == 0


def test_the_announcement_is_told_when_actions_are_listed_without_ids() -> None:
    with asked() as (_, client):
        answer = client.get("/actions")
    assert error_of(answer) == (410, "deprecated_api_endpoint")
    assert answer.json()["error"]["details"]["announcement"].startswith("https://docs.hetzner.cloud/")


def test_actions_are_those_of_the_image_when_listed_for_it() -> None:
    with asked(snapshots=2) as (_, client):
        first, second = start(client, 2)
        third = change(client, FIRST).json()["action"]["id"]
        assert ids_of(client.get(f"/images/{FIRST}/actions"), "actions") == [first, third]
        assert client.get(f"/images/{FIRST}/actions/{third}").status_code == 200
        assert error_of(client.get(f"/images/{FIRST}/actions/{second}")) == (404, "not_found")


def test_the_action_of_an_image_is_gone_when_the_endpoint_is_switched_off() -> None:
    with asked(snapshots=1, action_for_image_gone=True) as (_, client):
        (action_id,) = start(client, 1)
        answer = client.get(f"/images/{FIRST}/actions/{action_id}")
    assert error_of(answer) == (410, "deprecated_api_endpoint")
    assert answer.json()["error"]["details"]["announcement"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=running", [2]),
        ("status=running&status=error", [1, 2]),
        ("status=success", [0]),
        ("sort=id:desc", [2, 1, 0]),
        ("sort=status&sort=id:desc", [1, 2, 0]),
        ("sort=started:desc", [2, 1, 0]),
        ("sort=finished", [0, 1, 2]),
        ("sort=command&sort=id", [0, 1, 2]),
        ("per_page=2&page=2", [2]),
    ],
)
@pytest.mark.parametrize("path", ["/images/actions", f"/images/{FIRST}/actions"])
def test_actions_are_filtered_and_sorted_when_asked_to(path: str, query: str, expected: list[int]) -> None:
    clock = ManualClock()
    with asked(snapshots=1, action_seconds=5, clock=clock) as (sandbox, client):
        sandbox.faults.add(Fault(kind="action_error", after=1, times=1))
        started = []
        for _ in range(3):
            started.append(change(client, FIRST).json()["action"]["id"])
            clock.advance(2)
        clock.advance(1)
        assert ids_of(client.get(f"{path}?{query}"), "actions") == [started[index] for index in expected]


@pytest.mark.parametrize("query", ["sort=name", "status=done", "id=x", "page=-1"])
def test_an_action_list_is_refused_when_a_parameter_is_not_valid(query: str) -> None:
    with asked() as (_, client):
        assert error_of(client.get(f"/images/actions?{query}")) == (422, "invalid_input")


def test_an_error_object_is_shown_on_success_when_the_sandbox_is_told_so() -> None:
    with asked(snapshots=1, success_carries_error=True) as (_, client):
        action = change(client, FIRST).json()["action"]
    assert (action["status"], action["error"]["code"]) == ("success", "action_failed")


# What every request passes


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/servers", (404, "not_found")),
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


# Faults


def test_an_error_is_answered_as_often_as_the_fault_says_and_no_earlier() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", operation="list_images", status=503, after=1, times=2))
        statuses = [client.get("/images").status_code for _ in range(5)]
        other = client.get(f"/images/{FIRST}").status_code
    assert (statuses, other) == ([200, 503, 503, 200, 200], 200)


def test_all_is_well_again_when_the_faults_are_cleared() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="error"), Fault(kind="drop"))
        assert client.get("/images").status_code == 500
        sandbox.faults.clear()
        assert client.get("/images").status_code == 200


def test_a_second_fault_hits_when_the_first_is_used_up() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", status=502, times=1), Fault(kind="error", status=504, times=1))
        assert [client.get("/images").status_code for _ in range(3)] == [502, 504, 200]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(409, None, "conflict"), (500, None, "server_error"), (409, "uniqueness_error", "uniqueness_error")],
)
def test_an_errors_code_goes_with_its_status_unless_given(
    status: int, code: str | None, expected: str
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(
            Fault(kind="error", status=status, code=code, message="so it goes", details={"a": 1})
        )
        answer = change(client, FIRST)
        assert answer.status_code == status
        assert answer.json() == {"error": {"code": expected, "message": "so it goes", "details": {"a": 1}}}
        assert "X-Correlation-Id" in answer.headers
        assert sandbox.actions == []


def test_an_error_has_no_code_when_the_fault_says_so() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="error", status=423, code=""))
        assert "code" not in client.get("/images").json()["error"]


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault(kind="html"), 502, "<html>.*</html>"),
        (Fault(kind="html", status=504, body="<p>"), 504, "<p>"),
        (Fault(kind="empty"), 502, ""),
        (Fault(kind="truncated", status=500), 500, '{"error":{"code":"server.*[^}]'),
        (Fault(kind="wrong_shape", status=404), 404, '{"unexpected":\\[\\]}'),
    ],
)
def test_nothing_is_carried_out_when_a_fault_answers_with_an_error_status(
    fault: Fault, status: int, body: str
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(fault)
        answer = change(client, FIRST)
        assert (answer.status_code, sandbox.actions) == (status, [])
        assert re.fullmatch(body, answer.text)


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault(kind="empty", status=201), 201, ""),
        (Fault(kind="html", status=200), 200, "<html>.*</html>"),
        (Fault(kind="truncated"), 201, '{"action":{"id":.*[^}]'),
        (Fault(kind="wrong_shape"), 201, '{"unexpected":\\[\\]}'),
        (Fault(kind="wrong_shape", body="[]"), 201, "\\[\\]"),
    ],
)
def test_the_change_is_made_when_only_its_answer_is_spoiled(fault: Fault, status: int, body: str) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(fault)
        answer = change(client, FIRST)
        assert answer.status_code == status
        assert re.fullmatch(body, answer.text)
        assert protected(sandbox)


def test_a_gateways_answer_lacks_the_apis_headers() -> None:
    with asked() as (sandbox, client):
        sandbox.faults.add(Fault(kind="html", times=1))
        assert not {"x-correlation-id", "ratelimit-limit"} & set(client.get("/images").headers)


@pytest.mark.parametrize(("kind", "made"), [("drop", False), ("drop_after", True), ("cut", True)])
def test_the_connection_breaks_without_a_line_in_the_log_when_a_fault_drops_it(
    *, kind: Any, made: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind=kind, times=1))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            change(client, FIRST)
        assert client.get("/images").status_code == 200
        assert protected(sandbox) is made
        assert sandbox.requests[0].status == (201 if kind == "cut" else None)
    assert [
        record.name for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ] == []
    assert capfd.readouterr() == ("", "")


def test_nothing_is_carried_out_when_the_client_leaves_during_a_delay() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="delay", seconds=60))
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"/images/{FIRST}/actions/change_protection", json={"delete": True}, timeout=0.03)
        assert sandbox.actions == []


def test_the_change_is_made_when_the_client_outlasts_the_delay() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="delay", seconds=0.01))
        assert change(client, FIRST).status_code == 201


async def test_serving_ends_at_once_when_a_client_still_waits_for_a_delayed_answer() -> None:
    sandbox = Sandbox()
    sandbox.faults.add(Fault(kind="delay", seconds=60))
    headers = {"Authorization": "Bearer sandbox"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        with serve(sandbox):
            waiting = asyncio.create_task(client.get(f"{sandbox.endpoint}/images"))
            while not sandbox.calls("list_images"):  # noqa: ASYNC110 - the server is in another thread
                await asyncio.sleep(0.001)
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 5
        with pytest.raises(httpx.TransportError):
            await waiting


@pytest.mark.parametrize("path", ["/actions?id={id}", "/images/actions?id={id}", "/images/actions/{id}"])
def test_a_fault_hits_polls_only_when_it_is_for_polls_of_some_images(path: str) -> None:
    with asked(snapshots=2) as (sandbox, client):
        hit, missed = start(client, 2)
        sandbox.faults.add(Fault(kind="error", operation="poll", image_ids=frozenset({FIRST})))
        assert client.get("/images").status_code == 200
        assert client.get(path.format(id=hit)).status_code == 500
        assert client.get(path.format(id=missed)).status_code == 200


@pytest.mark.parametrize(("takes_effect", "expected"), [(False, False), (True, True)])
def test_an_action_ends_in_error_when_a_fault_is_for_its_image(*, takes_effect: bool, expected: bool) -> None:
    fault = Fault(
        kind="action_error",
        image_ids=frozenset({FIRST}),
        code="disk_full",
        message="no",
        takes_effect=takes_effect,
    )
    with asked(snapshots=2) as (sandbox, client):
        sandbox.faults.add(fault)
        failed, fine = (change(client, image_id).json()["action"] for image_id in (FIRST, FIRST + 1))
        assert (failed["status"], failed["error"]) == ("error", {"code": "disk_full", "message": "no"})
        assert fine["status"] == "success"
        assert (protected(sandbox), protected(sandbox, FIRST + 1)) == (expected, True)


@pytest.mark.parametrize(
    ("fault", "status", "is_protected"),
    [
        (Fault(kind="action_without_effect"), "success", False),
        (Fault(kind="action_never_ends"), "running", False),
        (Fault(kind="action_status", code="paused"), "paused", True),
    ],
)
def test_an_action_goes_as_its_fault_says_when_time_passes(
    *, fault: Fault, status: str, is_protected: bool
) -> None:
    clock = ManualClock()
    with asked(snapshots=1, action_seconds=1, clock=clock) as (sandbox, client):
        sandbox.faults.add(fault)
        (action_id,) = start(client, 1)
        clock.advance(10_000)
        action = client.get(f"/actions/{action_id}").json()["action"]
        assert (action["status"], protected(sandbox)) == (status, is_protected)
        assert (action["finished"] is None) is (status != "success")


def test_an_action_is_found_nowhere_when_a_fault_hides_it() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.faults.add(Fault(kind="action_unknown"))
        (action_id,) = start(client, 1)
        assert client.get(f"/actions?id={action_id}").json() == {"actions": []}
        assert ids_of(client.get("/images/actions"), "actions") == []
        assert ids_of(client.get(f"/images/{FIRST}/actions"), "actions") == []
        assert error_of(client.get(f"/images/actions/{action_id}")) == (404, "not_found")
        assert protected(sandbox)


def test_the_snapshot_is_gone_when_a_fault_deletes_it_before_its_change() -> None:
    with asked(snapshots=2) as (sandbox, client):
        sandbox.faults.add(Fault(kind="image_deleted", times=1))
        assert error_of(change(client, FIRST)) == (404, "not_found")
        assert change(client, FIRST + 1).status_code == 201
        assert list(sandbox.images) == [FIRST + 1]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("drop", Fault(kind="drop")),
        (
            "error operation=poll status=503 code=unavailable after=2 times=3",
            Fault(kind="error", operation="poll", status=503, code="unavailable", after=2, times=3),
        ),
        (
            "action_error image_ids=7,8 message='Disk is full' takes_effect=true",
            Fault(
                kind="action_error", image_ids=frozenset({7, 8}), message="Disk is full", takes_effect=True
            ),
        ),
        ("delay seconds=0.5", Fault(kind="delay", seconds=0.5)),
    ],
)
def test_a_fault_is_read_when_it_is_written_as_on_the_command_line(spec: str, fault: Fault) -> None:
    assert Fault.parse(spec) == fault


@pytest.mark.parametrize(
    "spec", ["", "explode", "drop often", "drop often=1", "error status=7", "drop operation=x"]
)
def test_a_fault_is_refused_when_it_is_none(spec: str) -> None:
    with pytest.raises(ValueError, match=r"Fault|name=value"):
        Fault.parse(spec)


# Serving


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com"])
def test_serving_is_refused_when_the_host_is_not_loopback(host: str) -> None:
    with pytest.raises(ValueError, match=re.escape(host)), serve(Sandbox(), host=host):
        pass


def test_two_projects_know_nothing_of_each_other_when_served_together() -> None:
    with asked(snapshots=1) as (one, client), asked(snapshots=1, token="other") as (other, _):
        change(client, FIRST)
        assert (protected(one), protected(other)) == (True, False)
        assert client.get(f"{other.endpoint}/images").status_code == 401


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_serves_and_ends_quietly_when_told_to(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "hetzner_cloud.sandbox", "--snapshots", "3", "--token", "abc"]
    command += ["--fault", "error operation=get_image status=503", "--lock-while-running"]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        match = re.fullmatch(r"Sandbox at (http://127\.0\.0\.1:\d+/v1), token abc, 3 snapshots\n", line)
        assert match, process.stderr.read()
        headers = {"Authorization": "Bearer abc"}
        assert httpx.get(f"{match[1]}/images", headers=headers, trust_env=False).status_code == 200
        answer = httpx.get(f"{match[1]}/images/{FIRST}", headers=headers, trust_env=False)
        assert answer.status_code == 503
        process.send_signal(ending)
        assert (process.wait(5), process.stdout.read(), process.stderr.read()) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--snapshots", "-1"], "snapshots: Input should be greater than"),
        (["--host", "0.0.0.0"], "loopback only"),
        (["--fault", "explode"], "kind: Input should be"),
        (["--protected", "61"], "More snapshots are to be protected"),
    ],
)
def test_the_command_names_the_option_when_it_is_not_valid(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert text in capsys.readouterr().err
