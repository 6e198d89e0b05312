"""The sandbox lists servers as the API does, each with the image that it was created from."""

from typing import Any

import pytest

from sandbox import ManualClock
from sandbox.servers import make_server
from tests.support.sandbox_client import FIRST, asked, ids_of

FIRST_SERVER = 40_000_001


def images_of(answer: Any) -> list[int | None]:
    return [server["image"] and server["image"]["id"] for server in answer.json()["servers"]]


def test_there_are_no_servers_unless_the_settings_say_so() -> None:
    with asked(snapshots=3) as (_, client):
        answer = client.get("/servers")
    assert ids_of(answer, "servers") == []
    assert answer.json()["meta"]["pagination"]["last_page"] == 1


def test_servers_are_made_from_a_snapshot_a_system_image_or_one_that_was_deleted() -> None:
    with asked(snapshots=2, system_images=1, servers=7) as (_, client):
        answer = client.get("/servers")
    assert images_of(answer) == [FIRST, FIRST + 2, None, FIRST + 1, FIRST + 2, None, FIRST]
    assert answer.json()["servers"][0]["image"]["type"] == "snapshot"


def test_snapshots_are_created_from_the_servers_that_there_are() -> None:
    with asked(snapshots=7, servers=7) as (_, client):
        servers = {server["id"]: server["name"] for server in client.get("/servers").json()["servers"]}
        sources = [image["created_from"] for image in client.get("/images").json()["images"]]
    assert servers == {source["id"]: source["name"] for source in sources}


def test_servers_are_paged_with_meta_when_there_are_more_than_a_page_holds() -> None:
    with asked(snapshots=1, servers=120) as (_, client):
        pages = [client.get("/servers", params={"per_page": 50, "page": page}) for page in (1, 2, 3)]
    ids = [found for page in pages for found in ids_of(page, "servers")]
    assert ids == list(range(FIRST_SERVER, FIRST_SERVER + 120))
    assert pages[0].json()["meta"]["pagination"]["total_entries"] == 120
    assert pages[2].json()["meta"]["pagination"]["next_page"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1, 2, 3]),
        ("name=b", [2]),
        ("name=nothing", []),
        ("status=off", [3]),
        ("status=off&status=running", [1, 2, 3]),
        ("label_selector=env=prod", [2]),
        ("sort=name:desc", [3, 2, 1]),
        ("sort=created", [1, 2, 3]),
        ("sort=id:desc", [3, 2, 1]),
    ],
)
def test_servers_are_filtered_and_sorted_when_asked_to(query: str, expected: list[int]) -> None:
    clock = ManualClock()
    with asked(snapshots=0, clock=clock) as (sandbox, client):
        for fields in (
            {"name": "a"},
            {"name": "b", "labels": {"env": "prod"}},
            {"name": "c", "status": "off"},
        ):
            sandbox.add_server(**fields)
            clock.advance(1)
        found = ids_of(client.get(f"/servers?{query}"), "servers")
    assert [server_id - FIRST_SERVER + 1 for server_id in found] == expected


def test_a_server_has_no_image_when_that_was_deleted() -> None:
    with asked(snapshots=2) as (sandbox, client):
        sandbox.add_server(image=FIRST)
        assert images_of(client.get("/servers")) == [FIRST]
        assert client.delete(f"/images/{FIRST}").status_code == 204
        assert images_of(client.get("/servers")) == [None]


def test_a_server_is_listed_no_longer_when_it_was_deleted_and_its_snapshots_are() -> None:
    with asked(snapshots=1) as (sandbox, client):
        first, second = sandbox.add_server(name="a"), sandbox.add_server(name="b")
        sandbox.delete_server(first)
        assert ids_of(client.get("/servers"), "servers") == [second]
        assert sandbox.add_server() == second + 1
        assert ids_of(client.get("/images")) == [FIRST]


@pytest.mark.parametrize("image", [True, "7", {"id": "7"}, [], {"id": 7}], ids=repr)
def test_an_image_is_shown_as_it_is_when_a_test_makes_it_no_id(image: Any) -> None:
    with asked(snapshots=0) as (sandbox, client):
        sandbox.servers[sandbox.add_server()]["image"] = image
        assert client.get("/servers").json()["servers"][0]["image"] == image


@pytest.mark.parametrize("query", ["", "?sort=name", "?label_selector=a", "?status=off", "?name=a"])
@pytest.mark.parametrize("field", ["id", "name", "image", "status", "labels", "created"])
def test_a_list_is_returned_when_a_server_lacks(field: str, query: str) -> None:
    with asked(snapshots=0, servers=2) as (sandbox, client):
        del sandbox.servers[FIRST_SERVER][field]
        assert client.get(f"/servers{query}").status_code == 200


def test_a_server_with_an_unknown_field_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="A server has no field colour"):
        make_server(1, 0.0, colour="red")
