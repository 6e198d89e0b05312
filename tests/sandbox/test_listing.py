"""The sandbox goes on when objects are not as documented: tests put such ones into it."""

from typing import Any

import pytest

from sandbox import Sandbox
from tests.support.sandbox_client import FIRST, asked

ABSENT = object()
ODD: dict[str, dict[str, Any]] = {
    "half a surrogate pair": {"description": "cut \ud83d", "labels": {"\ud83d": "\udc4d"}},
    "no labels": {"labels": None},
    "no protection": {"protection": None},
    "an empty protection": {"protection": {}},
    "more than 64 bits": {"bound_to": 2**70},
    "a time that is a number": {"created": 1},
    "a type that is null": {"type": None},
    **{f"{name} is absent": {name: ABSENT} for name in ("id", "type", "status", "name", "labels", "created")},
    **{
        f"{name} is absent": {name: ABSENT}
        for name in ("architecture", "bound_to", "protection", "deprecation")
    },
}


@pytest.mark.parametrize("fields", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "query",
    [
        *("", "?label_selector=a", "?sort=id", "?sort=created:desc", "?sort=name&sort=id"),
        "?type=snapshot&status=available&architecture=x86&name=x&bound_to=1",
    ],
)
def test_a_list_is_returned_when_an_object_is_not_as_documented(fields: dict[str, Any], query: str) -> None:
    with asked(snapshots=3) as (sandbox, client):
        _make_odd(sandbox, fields)
        assert client.get(f"/images{query}").status_code == 200


@pytest.mark.parametrize("fields", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"description": "changed"}),
        ("DELETE", "", None),
        ("POST", "/actions/change_protection", {"delete": False}),
    ],
)
def test_an_object_is_served_as_always_when_it_is_not_as_documented(
    fields: dict[str, Any], method: str, path: str, body: object
) -> None:
    with asked(snapshots=1) as (sandbox, client):
        _make_odd(sandbox, fields)
        answer = client.request(method, f"/images/{FIRST}{path}", json=body)
    is_no_snapshot = "type" in fields and method != "GET"
    assert answer.status_code == (422 if is_no_snapshot else {"DELETE": 204, "POST": 201}.get(method, 200))


def test_half_a_surrogate_pair_arrives_as_an_escape() -> None:
    with asked(snapshots=1) as (sandbox, client):
        sandbox.images[FIRST]["description"] = "cut \ud83d"
        answer = client.get(f"/images/{FIRST}")
    assert b'"cut \\ud83d"' in answer.content


def _make_odd(sandbox: Sandbox, fields: dict[str, Any]) -> None:
    image = sandbox.images[FIRST]
    image.update(fields)
    for name in [name for name, value in fields.items() if value is ABSENT]:
        del image[name]
