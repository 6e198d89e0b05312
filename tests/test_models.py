"""Images and actions parse whatever the API is known to answer, and what it may answer tomorrow."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from hetzner_cloud.models import Action, ActionFault, Image, Meta, describe_fault

IMAGE = {"id": 4711, "type": "snapshot", "protection": {"delete": False}}
ACTION = {"id": 13, "status": "running"}
NOON = datetime(2026, 1, 30, 12, 0, tzinfo=UTC)


def image(**fields: Any) -> Image:
    return Image.model_validate_json(json.dumps({**IMAGE, **fields}))


def action(**fields: Any) -> Action:
    return Action.model_validate_json(json.dumps({**ACTION, **fields}))


def test_an_image_needs_no_more_than_what_is_decided_by() -> None:
    assert image().id == 4711
    assert image().is_snapshot
    assert not image().is_protected


@pytest.mark.parametrize("field", sorted(IMAGE))
def test_an_image_is_refused_when_it_lacks(field: str) -> None:
    with pytest.raises(ValidationError):
        Image.model_validate({name: value for name, value in IMAGE.items() if name != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", "ubuntu-24.04"),
        ("image_size", None),
        ("image_size", 2.3),
        ("disk_size", 10),
        ("created_from", None),
        ("bound_to", None),
        ("bound_to", 504538401287250),
        ("os_version", None),
        ("os_version", "24.04"),
        ("rapid_deploy", None),
        ("rapid_deploy", False),
        ("deprecated", None),
        ("deprecation", None),
        ("deleted", None),
        ("labels", {}),
        ("labels", {"env": "prod", "empty": ""}),
        ("type", "a type of tomorrow"),
        ("status", "a status of tomorrow"),
        ("os_flavor", "a flavour of tomorrow"),
        ("architecture", "risc-v"),
        ("description", "größer ✓"),
        ("id", 2**53 - 1),
    ],
)
def test_an_image_keeps_a_field_when_it_is(field: str, value: object) -> None:
    assert getattr(image(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("fields", "parsed"),
    [
        ({"labels": None}, {"labels": {}}),
        ({"status": None}, {"status": ""}),
        ({"description": None}, {"description": ""}),
        ({"architecture": None}, {"architecture": ""}),
        ({"disk_size": "ten"}, {"disk_size": None}),
        ({"created": "soon"}, {"created": None}),
        ({"created": None}, {"created": None}),
    ],
)
def test_an_image_stays_in_sight_when_a_lesser_field_is_odd(fields: dict[str, Any], parsed: object) -> None:
    assert image(**fields).model_dump(include=set(fields)) == parsed


def test_an_image_ignores_fields_of_tomorrow() -> None:
    assert image(colour="red", protection={"delete": True, "rebuild": False}).is_protected


@pytest.mark.parametrize(
    "fields", [{"id": "4711"}, {"id": True}, {"protection": {"delete": 1}}, {"protection": {}}, {"protection": None}]
)
def test_an_image_is_refused_when_what_is_decided_by_is_odd(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        image(**fields)


@pytest.mark.parametrize("server", [{"id": 1, "name": "web"}, {"id": 1, "name": None}, {"id": None}, {}])
def test_the_server_an_image_was_made_of_may_be_half_known(server: dict[str, Any]) -> None:
    made_of = image(created_from=server).created_from
    assert made_of is not None
    assert made_of.id == server.get("id")
    assert made_of.name == (server.get("name") or "")


@pytest.mark.parametrize("kind", ["system", "app", "backup", "of tomorrow"])
def test_an_image_is_no_snapshot_when_its_type_is(kind: str) -> None:
    assert not image(type=kind).is_snapshot


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-30T12:00:00Z", NOON),
        ("2026-01-30T12:00:00+00:00", NOON),
        ("2026-01-30T12:00Z", NOON),
        ("2026-01-30T12:00+00:00", NOON),
        *((f"2026-01-30T12:00:00.{'1' * n}Z", NOON.replace(microsecond=int(("1" * n).ljust(6, "0")))) for n in range(1, 7)),
    ],
)
def test_a_time_is_read_when_written_as(text: str, time: datetime) -> None:
    assert image(created=text).created == time
    assert action(started=text, finished=text).finished == time


def test_a_time_is_taken_as_utc_when_it_names_no_zone() -> None:
    assert image(created="2026-01-30T12:00:00").created == NOON


@pytest.mark.parametrize("deprecated", [{}, {"deprecated": None}, {"deprecated": "2026-01-30T12:00:00Z"}])
@pytest.mark.parametrize(
    "deprecation",
    [
        {},
        {"deprecation": None},
        {"deprecation": {}},
        {"deprecation": {"announced": "2026-01-30T12:00:00Z", "unavailable_after": None}},
    ],
)
def test_an_image_is_deprecated_by_either_field_both_or_none(
    deprecated: dict[str, Any], deprecation: dict[str, Any]
) -> None:
    parsed = image(**deprecated, **deprecation)
    assert (parsed.deprecated == NOON) is bool(deprecated.get("deprecated"))
    assert (parsed.deprecation is not None) is (deprecation.get("deprecation") is not None)


@pytest.mark.parametrize(
    ("fields", "succeeded", "failed", "ended"),
    [
        ({"status": "running"}, False, False, False),
        ({"status": "success"}, True, False, True),
        ({"status": "success", "error": {"code": "action_failed", "message": "Action failed"}}, True, False, True),
        ({"status": "error", "error": {"code": "action_failed", "message": "Action failed"}}, False, True, True),
        ({"status": "error", "error": None}, False, True, True),
        ({"status": "running", "progress": 100}, False, False, False),
        ({"status": "paused"}, False, False, False),
    ],
    ids=["running", "success", "success with an error", "error", "error without one", "at 100 %", "unknown"],
)
def test_an_action_is_judged_by_its_status_only(
    fields: dict[str, Any], succeeded: object, failed: object, ended: object
) -> None:
    judged = action(**fields)
    assert (judged.succeeded, judged.failed, judged.ended) == (succeeded, failed, ended)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 2**53 - 1),
        ("id", 504538401287250),
        ("status", "a status of tomorrow"),
        ("progress", 80),
        ("started", None),
        ("finished", None),
        ("error", None),
    ],
)
def test_an_action_keeps_a_field_when_it_is(field: str, value: object) -> None:
    assert getattr(action(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("resources", "image_id"),
    [
        ([], None),
        ([{"id": 1, "type": "server"}], None),
        ([{"id": 4711, "type": "image"}], 4711),
        ([{"id": 1, "type": "server"}, {"id": 4711, "type": "image", "more": 1}], 4711),
    ],
)
def test_an_action_names_its_image_when_its_resources_do(resources: list[Any], image_id: int | None) -> None:
    assert action(resources=resources).image_id == image_id


@pytest.mark.parametrize("progress", [None, "half"])
def test_an_action_is_at_the_start_when_its_progress_is(progress: object) -> None:
    assert action(progress=progress).progress == 0


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "action 13 at 0 %"),
        ({"command": "change_protection", "progress": 80}, "action 13 (change_protection) at 80 %"),
        ({"resources": [{"id": 4711, "type": "image"}], "status": "success"}, "action 13 of image 4711"),
        ({"status": "error"}, "action 13: no reason given"),
        ({"status": "error", "error": {"code": "c", "message": "m"}}, "action 13: m (c)"),
        ({"command": "a\x1b[31m\nb", "status": "success"}, "action 13 (a [31m b)"),
    ],
)
def test_an_action_tells_what_a_person_needs_when_it_has(fields: dict[str, Any], text: str) -> None:
    assert str(action(**fields)) == text


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (None, "no reason given"),
        (ActionFault(), "no message given"),
        (ActionFault(code="c"), "no message given (c)"),
        (ActionFault(message="m"), "m"),
        (ActionFault(code="c\n", message="m\x1b[0m"), "m [0m (c)"),
    ],
)
def test_a_fault_is_message_and_code_when_it_has_them(fault: ActionFault | None, text: str) -> None:
    assert describe_fault(fault) == text


@pytest.mark.parametrize("model", [image(), action(), Meta()], ids=["image", "action", "meta"])
def test_a_model_cannot_be_changed(model: Image | Action | Meta) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, next(iter(type(model).model_fields)), None)
