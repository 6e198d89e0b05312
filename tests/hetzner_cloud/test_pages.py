"""Pages: one entry that cannot be read costs only itself, and is named."""

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hetzner_cloud.errors import InvalidResponseError
from hetzner_cloud.models import Image
from hetzner_cloud.pages import ActionsPage, ImagesPage
from hetzner_cloud.responses import ApiResponse, parse_model
from hetzner_cloud.unreadable_entries import UnreadableEntry
from tests.support.api_json import MAX_ID, action_json, body_of, image_json, meta_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
BAD_IDS = [None, "4711", 4711.0, True, 0, -1, MAX_ID + 1, 2**63, 10**400, 1e400, [1], {"id": 1}, "absent"]


def images_page(*entries: object, **more: object) -> ImagesPage:
    return parse_model(
        ImagesPage, ApiResponse("GET /images", 200, body_of({"images": list(entries), **more}))
    )


def actions_page(*entries: object) -> ActionsPage:
    return parse_model(ActionsPage, ApiResponse("GET /actions", 200, body_of({"actions": list(entries)})))


@given(
    at=st.integers(0, 4),
    field=st.sampled_from([*image_json(), None]),
    value=JSON | st.sampled_from([b"", "half"]),
    absent=st.booleans(),
)
def test_all_other_images_are_read_exactly_when_one_is_corrupted(
    at: int, field: str | None, value: Any, *, absent: bool
) -> None:
    good = [image_json(number, description=f"number {number}") for number in range(1, 6)]
    entries: list[Any] = copy.deepcopy(good)
    text = json.dumps(value) if not isinstance(value, bytes) and value != "half" else '"\\ud83d"'
    entries[at] = entries[at] | {field: "CORRUPTED"} if field else "CORRUPTED"
    if field and absent:
        del entries[at][field]
    received = json.dumps({"images": entries}).replace('"CORRUPTED"', text).encode()
    page = parse_model(ImagesPage, ApiResponse("GET /images", 200, body_of(received)))
    read = {image.id: image for image in page.images}
    for number, entry in enumerate(good):
        if number != at:
            assert read[entry["id"]] == Image.model_validate(entry)
    assert page.size == 5
    assert len(page.unreadable) == 5 - len(page.images) <= 1


@pytest.mark.parametrize("field", ["id", "type", "protection"])
def test_an_image_is_named_with_what_is_wrong_when_it_lacks(field: str) -> None:
    bad = {name: value for name, value in image_json(2).items() if name != field}
    page = images_page(image_json(1), bad, image_json(3))
    assert [image.id for image in page.images] == [1, 3]
    [unreadable] = page.unreadable
    assert unreadable == UnreadableEntry(
        id=None if field == "id" else 2,
        type="" if field == "type" else "snapshot",
        reason=f"{field}: Field required",
    )


@pytest.mark.parametrize(
    "protection", [None, {}, {"delete": None}, {"delete": "true"}, {"delete": 1}, []], ids=repr
)
def test_an_image_is_neither_protected_nor_unprotected_when_its_protection_is(protection: Any) -> None:
    page = images_page(image_json(1, protection=protection), image_json(2))
    assert [image.id for image in page.images] == [2]
    assert [(one.id, one.reason.split(":")[0].split(".")[0]) for one in page.unreadable] == [
        (1, "protection")
    ]


@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda value: repr(value)[:12])
def test_an_entry_has_no_id_when_that_is(bad: Any) -> None:
    image, action = image_json(), action_json()
    for entry in (image, action):
        entry["id"] = bad
        if bad == "absent":
            del entry["id"]
    assert [one.id for one in images_page(image_json(1), image).unreadable] == [None]
    assert [one.id for one in actions_page(action_json(1), action).unreadable] == [None]


@pytest.mark.parametrize("entry", [None, 5, "text", [], [image_json()], {}, True], ids=repr)
def test_an_entry_is_unreadable_when_it_is(entry: object) -> None:
    page = images_page(image_json(1), entry)
    assert ([image.id for image in page.images], page.ids, page.size) == ([1], [1], 2)
    assert len(page.without_id) == 1


@pytest.mark.parametrize("field", ["id", "status"])
def test_all_other_actions_are_read_when_one_lacks(field: str) -> None:
    bad = {name: value for name, value in action_json(2).items() if name != field}
    page = actions_page(action_json(1), bad, action_json(3))
    assert [action.id for action in page.actions] == [1, 3]
    assert [one.reason for one in page.unreadable] == [f"{field}: Field required"]


def test_an_entry_without_an_id_is_named_by_its_page() -> None:
    page = images_page(image_json(0), meta=meta_json(2, 2)).numbered(2)
    [entry] = page.unreadable
    assert str(entry).startswith("an entry without a valid id on page 2: id: ")
    assert str(UnreadableEntry(id=17, reason="type: Field required")) == "17: type: Field required"


def test_a_page_is_invalid_when_its_meta_is_though_entries_are_too() -> None:
    with pytest.raises(InvalidResponseError, match="meta"):
        images_page(image_json(0), meta="2")


@pytest.mark.parametrize("images", [None, {}, "none", 5, {"0": image_json()}], ids=repr)
def test_a_page_is_invalid_when_its_entries_are(images: Any) -> None:
    with pytest.raises(InvalidResponseError, match="images"):
        parse_model(ImagesPage, ApiResponse("GET /images", 200, body_of({"images": images})))


def test_a_page_is_invalid_when_it_has_more_entries_than_a_page_can() -> None:
    assert len(images_page(*[{}] * 1_000).unreadable) == 1_000
    with pytest.raises(InvalidResponseError, match="1001 entries are more than a page has"):
        images_page(*[{}] * 1_001)


@pytest.mark.parametrize("name", ["unreadable", "_unreadable", "key", "entry_model", "without_id"])
def test_a_response_cannot_say_what_is_unreadable(name: str) -> None:
    page = images_page(image_json(1), **{name: [{"id": 7, "reason": "made up"}]})
    assert (page.unreadable, page.ids) == ((), [1])


def test_the_one_that_promises_least_counts_when_a_page_has_an_id_twice() -> None:
    yes, no = ({"delete": protected} for protected in (True, False))
    for first, second in ((yes, no), (no, yes)):
        page = images_page(image_json(1, protection=first), image_json(1, protection=second))
        image = page.by_id[1]
        assert isinstance(image, Image)
        assert not image.is_protected
    for one, other in ((yes, None), (None, yes)):
        page = images_page(image_json(1, protection=one), image_json(1, protection=other))
        assert isinstance(page.by_id[1], UnreadableEntry)


def test_a_page_is_frozen_and_survives_pickling() -> None:
    page = images_page(image_json(1), image_json(0))
    with pytest.raises(ValidationError, match="frozen"):
        page.images = ()  # type: ignore[misc]  # mypy knows that it is frozen
    again = pickle.loads(pickle.dumps(page))
    assert (again, again.unreadable) == (page, page.unreadable)


@pytest.mark.parametrize(
    ("fields", "unreadable"),
    [
        ({}, set()),
        ({"labels": {}, "description": ""}, set()),
        ({"description": None}, {"description"}),
        ({"created_from": {"id": 1, "name": 7}, "description": 1}, {"description", "server"}),
    ],
)
def test_an_image_names_what_rules_match_and_could_not_be_read(
    fields: dict[str, Any], unreadable: set[str]
) -> None:
    [image] = images_page(image_json(**fields)).images
    assert image.unreadable == unreadable
    assert Image.model_validate(image.model_dump()) == image
    assert Image.model_validate_json(image.model_dump_json()) == image


def test_an_image_without_labels_or_a_description_names_both() -> None:
    fields = {key: value for key, value in image_json().items() if key not in {"labels", "description"}}
    image = Image.model_validate(fields)
    assert image.labels is None
    assert image.unreadable == {"description"}


def test_a_field_that_decides_nothing_is_none_when_it_is_strange() -> None:
    [image] = images_page(
        image_json(created="2016-13-45", labels={"a": 1, "b": "c", "d": None}, image_size=-1, disk_size=True)
    ).images
    assert (image.created, image.labels, image.image_size, image.disk_size) == (None, None, None, None)
    [huge] = images_page(image_json(image_size=10**400, disk_size=float("inf"))).images
    assert (huge.image_size, huge.disk_size) == (None, None)
