"""The models: what of a response is read, and what of it may be missing, unknown or strange."""

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from hetzner_cloud.models import (
    Action,
    ActionErrorInfo,
    Image,
    Meta,
    Protection,
    Resource,
    describe_action_error,
)
from tests.support.api_json import MAX_ID, action_json, image_json

NEEDED_OF_AN_IMAGE = {"id": 1, "type": "snapshot", "protection": {"delete": True}}
NEEDED_OF_AN_ACTION = {"id": 1, "status": "running"}
HALF_TO_MIDNIGHT = datetime(2016, 1, 30, 23, 30, tzinfo=UTC)
DEPRECATION = {"announced": "2026-09-08T00:00:00Z", "unavailable_after": None}


def image(**fields: Any) -> Image:
    return Image.model_validate_json(json.dumps(fields))


def action(**fields: Any) -> Action:
    return Action.model_validate_json(json.dumps(fields))


def test_every_field_of_an_image_is_read_when_it_is_as_documented() -> None:
    read = image(**image_json(), unheard_of={"of": 1})
    assert (read.id, read.type, read.status, read.name) == (4711, "snapshot", "available", None)
    assert (read.disk_size, read.image_size, read.labels) == (10, 2.3, {"env": "prod"})
    assert read.created_from is not None
    assert (read.created_from.id, read.created_from.name) == (1, "web-1")
    assert (read.os_flavor, read.os_version, read.architecture) == ("ubuntu", "20.04", "x86")
    assert read.created == datetime(2016, 1, 30, 23, 55, tzinfo=UTC)


def test_an_image_is_read_with_only_what_decisions_depend_on() -> None:
    read = image(**NEEDED_OF_AN_IMAGE)
    assert (read.is_snapshot, read.is_protected) == (True, True)
    assert (read.created_from, read.bound_to, read.rapid_deploy, read.labels) == (None, None, None, None)
    assert (read.created, read.deprecated, read.deprecation, read.deleted) == (None, None, None, None)


@pytest.mark.parametrize("field", sorted(set(image_json()) - set(NEEDED_OF_AN_IMAGE)))
@pytest.mark.parametrize("strange", ["absent", None, "strange", 5.5, True, [], {}, [1], {"a": "b"}], ids=repr)
def test_an_image_is_not_lost_when_a_field_no_decision_depends_on_is(field: str, strange: Any) -> None:
    fields = image_json(protection={"delete": True}) | {field: strange}
    if strange == "absent":
        del fields[field]
    assert image(**fields).is_protected


@pytest.mark.parametrize("field", sorted(NEEDED_OF_AN_IMAGE))
def test_an_image_is_rejected_without_what_decisions_depend_on(field: str) -> None:
    with pytest.raises(ValidationError):
        image(**{name: value for name, value in NEEDED_OF_AN_IMAGE.items() if name != field})


@pytest.mark.parametrize(
    "protection", [None, {}, {"delete": None}, {"delete": "true"}, {"delete": 1}], ids=repr
)
def test_an_image_is_rejected_when_its_protection_is(protection: Any) -> None:
    with pytest.raises(ValidationError):
        image(**NEEDED_OF_AN_IMAGE | {"protection": protection})


@pytest.mark.parametrize("type", ["system", "app", "backup", "unheard_of"])
def test_only_a_snapshot_is_one_when_the_type_is(type: str) -> None:
    assert not image(**image_json(type=type)).is_snapshot


def test_a_new_status_of_an_image_is_let_through() -> None:
    assert image(**image_json(status="archived")).status == "archived"


def test_the_size_of_an_image_is_none_while_it_is_being_created() -> None:
    assert image(**image_json(status="creating", image_size=None)).image_size is None


def test_a_snapshot_can_be_bound_to_a_server() -> None:
    assert image(**image_json(bound_to=42)).bound_to == 42


@pytest.mark.parametrize(
    ("fields", "deprecated", "announced"),
    [
        ({"deprecated": "2018-02-28T00:00:00Z"}, 2018, None),
        ({"deprecation": DEPRECATION}, None, 2026),
        ({"deprecated": "2018-02-28T00:00:00Z", "deprecation": DEPRECATION}, 2018, 2026),
        ({"deprecated": None, "deprecation": None}, None, None),
        ({}, None, None),
    ],
    ids=["deprecated", "deprecation", "both", "null", "neither"],
)
def test_an_image_reports_its_deprecation_in_either_way(
    fields: dict[str, Any], deprecated: int | None, announced: int | None
) -> None:
    read = image(**NEEDED_OF_AN_IMAGE, **fields)
    assert (read.deprecated.year if read.deprecated else None) == deprecated
    told = read.deprecation.announced if read.deprecation else None
    assert (told.year if told else None) == announced


@pytest.mark.parametrize("model", [image, action])
@pytest.mark.parametrize("number", [1, 2**31, 2**32, 504538401287250, MAX_ID])
def test_an_id_is_read_exactly_when_it_is(model: Any, number: int) -> None:
    fields = NEEDED_OF_AN_IMAGE if model is image else NEEDED_OF_AN_ACTION
    assert model(**fields | {"id": number}).id == number


@pytest.mark.parametrize("number", [None, "4711", 4711.0, True])
def test_an_id_is_rejected_when_it_is_no_integer(number: Any) -> None:
    with pytest.raises(ValidationError):
        image(**NEEDED_OF_AN_IMAGE | {"id": number})
    with pytest.raises(ValidationError):
        action(**NEEDED_OF_AN_ACTION | {"id": number})


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2016-01-30T23:30Z", 0),
        ("2016-01-30T23:30+00:00", 0),
        ("2016-01-30T23:30:00Z", 0),
        ("2016-01-30T23:30:00+00:00", 0),
        ("2016-01-31T00:30:00+01:00", 0),
        ("2016-01-30T23:30:00", 0),
        ("2016-01-30T23:30:00.1Z", 100_000),
        ("2016-01-30T23:30:00.12Z", 120_000),
        ("2016-01-30T23:30:00.123Z", 123_000),
        ("2016-01-30T23:30:00.1234+00:00", 123_400),
        ("2016-01-30T23:30:00.12345Z", 123_450),
        ("2016-01-30T23:30:00.123456Z", 123_456),
        ("2016-01-30T23:30:00.123456789Z", 123_456),
    ],
)
def test_a_time_is_read_when_it_is_written(text: str, microsecond: int) -> None:
    expected = HALF_TO_MIDNIGHT.replace(microsecond=microsecond)
    assert action(**NEEDED_OF_AN_ACTION, started=text).started == expected
    assert image(**NEEDED_OF_AN_IMAGE, created=text).created == expected


@pytest.mark.parametrize("value", [20260101, "20260101", "1700000000", 1.7e9, True])
def test_a_number_is_no_time(value: Any) -> None:
    """As seconds since 1970 it would make a snapshot of today decades old, and due for pruning."""
    assert image(**NEEDED_OF_AN_IMAGE, created=value).created is None


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2016-13-45T99:99:99Z", "0001-01-01T00:00:00+05:00", None, [], {}, 1e400]
)
def test_a_time_that_cannot_be_read_is_none(text: Any) -> None:
    assert action(**NEEDED_OF_AN_ACTION, started=text).started is None


def test_every_field_of_an_action_is_read_when_it_is_as_documented() -> None:
    read = action(**action_json(status="error", progress=100, error={"code": "c", "message": "m"}))
    assert (read.id, read.command, read.progress, read.image_id) == (13, "change_protection", 100, 4711)
    assert (read.started, read.finished) == (datetime(2016, 1, 30, 23, 50, tzinfo=UTC), None)
    assert read.error == ActionErrorInfo(code="c", message="m")


@pytest.mark.parametrize("field", ["command", "progress", "started", "finished", "resources", "error"])
@pytest.mark.parametrize("missing", ["absent", "null"])
def test_an_action_is_read_without(field: str, missing: str) -> None:
    fields = action_json() | {field: None}
    if missing == "absent":
        del fields[field]
    assert not action(**fields).is_finished


@pytest.mark.parametrize(
    ("resources", "image_id"),
    [
        ([], None),
        ([{"id": 7, "type": "server"}], None),
        ([{"id": 7, "type": "server"}, {"id": 8, "type": "image"}], 8),
        ([{"id": 8, "type": "image", "unheard_of": 1}], 8),
    ],
)
def test_an_action_names_its_image_when_its_resources_are(resources: list[Any], image_id: int | None) -> None:
    assert action(**action_json(resources=resources)).image_id == image_id


@pytest.mark.parametrize(
    ("status", "error", "judgement"),
    [
        ("running", None, "running"),
        ("success", None, "succeeded"),
        ("success", {"code": "action_failed", "message": "Action failed"}, "succeeded"),
        ("error", {"code": "action_failed", "message": "Action failed"}, "failed"),
        ("error", None, "failed"),
        ("running", {"code": "action_failed", "message": "Action failed"}, "running"),
        ("paused", None, "running"),
        ("SUCCESS", None, "running"),
        ("", None, "running"),
    ],
)
def test_an_action_is_judged_by_its_status_alone(status: str, error: Any, judgement: str) -> None:
    read = action(**action_json(status=status, error=error))
    assert (read.succeeded, read.failed) == (judgement == "succeeded", judgement == "failed")
    assert read.is_finished is (judgement != "running")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "action 13 (change_protection) of image 4711 at 0 %"),
        ({"progress": 80.5}, "action 13 (change_protection) of image 4711 at 80.5 %"),
        ({"status": "paused"}, "action 13 (change_protection) of image 4711 at 0 %"),
        ({"status": "success"}, "action 13 (change_protection) of image 4711"),
        ({"status": "success", "command": "", "resources": []}, "action 13"),
        ({"status": "success", "command": "a\x1b[2J\nb", "resources": []}, "action 13 (a [2J b)"),
        ({"status": "error", "resources": []}, "action 13 (change_protection): no reason given"),
    ],
)
def test_an_action_names_what_is_needed_to_find_it(fields: dict[str, Any], text: str) -> None:
    assert str(action(**action_json(**fields))) == text


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (None, "no reason given"),
        (ActionErrorInfo(), "no message given"),
        (ActionErrorInfo(code="locked"), "no message given (locked)"),
        (ActionErrorInfo(message="Action failed"), "Action failed"),
        (ActionErrorInfo(code="action_failed", message="Action failed"), "Action failed (action_failed)"),
        (ActionErrorInfo(code="a\nb", message="\x1b[31mred\r\n"), "[31mred (a b)"),
    ],
)
def test_an_error_is_described_as_in_the_official_clients(fault: ActionErrorInfo | None, text: str) -> None:
    assert describe_action_error(fault) == text


@pytest.mark.parametrize("model", [image(**image_json()), action(**action_json())], ids=["image", "action"])
def test_a_model_is_frozen_and_survives_pickling(model: Image | Action) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        model.id = 1  # type: ignore[misc]  # mypy knows that it is frozen
    assert pickle.loads(pickle.dumps(model)) == model


@pytest.mark.parametrize("part", [Protection(delete=True), Resource(id=1, type="image")], ids=repr)
def test_the_parts_of_a_model_are_frozen(part: Protection | Resource) -> None:
    name = next(iter(type(part).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, name, getattr(part, name))


@pytest.mark.parametrize(
    "text", ["{}", '{"pagination": {}}', '{"pagination": {"next_page": null, "new": 1}}']
)
def test_a_list_has_no_further_page_when_its_meta_is(text: str) -> None:
    assert Meta.model_validate_json(text).pagination.next_page is None


@pytest.mark.parametrize(
    ("told", "shown"), [(None, 0), ("half", 0), (-1, 0), (250, 100), (10**400, 100), (42, 42)]
)
def test_the_progress_is_a_percentage_whatever_the_response_says(told: object, shown: float) -> None:
    assert Action.model_validate({"id": 1, "status": "running", "progress": told}).progress == shown


def test_an_action_of_a_resource_whose_id_has_thousands_of_digits_has_no_image() -> None:
    action = Action.model_validate(action_json(1, resources=[{"id": int("9" * 4_000), "type": "image"}]))
    assert action.image_id is None
    assert len(str(action)) < 100


@pytest.mark.parametrize("sent", [None, "description", 1, {}])
def test_a_field_of_the_response_that_is_named_like_ours_costs_nothing(sent: object) -> None:
    assert image(**image_json(), unreadable=sent).unreadable == frozenset()
    without_description = image(**image_json(description=None), unreadable=sent)
    assert without_description.unreadable == {"description"}
