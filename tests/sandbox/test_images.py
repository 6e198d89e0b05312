"""The sandbox lists images and changes their protection as the API does."""

from typing import Any

import pytest

from sandbox import ManualClock, Sandbox
from tests.support.sandbox_client import FIRST, asked, change, error_of, ids_of, protected


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
