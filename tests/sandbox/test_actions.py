"""The sandbox shows actions as the API does."""

import pytest

from sandbox import Fault, ManualClock
from tests.support.sandbox_client import FIRST, asked, change, error_of, ids_of, start


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
