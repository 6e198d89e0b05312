"""The sandbox rejects parameters and bodies that are not as documented, and never fails of them."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support.sandbox_client import FIRST, asked, error_of, ids_of

HUGE = "9" * 5_000  # more digits than Python converts


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of a sandbox with two snapshots, for requests that change nothing."""
    with asked(snapshots=2) as (_, client):
        yield client


@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize(
    "value",
    [
        *("0", "-1", "", "many", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "9223372036854775806", HUGE),
        *("%00", "%FF", "%ED%A0%80", "%C2%B2", "%D9%A1", "%zz", "1,2"),
    ],
    ids=lambda value: ascii(value)[:12],
)
def test_a_page_is_rejected_when_it_is_no_positive_integer(
    client: httpx.Client, name: str, value: str
) -> None:
    _assert_rejected(client, f"/images?{name}={value}", name)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("per_page=51", "per_page"),
        *((f"sort={value}", "sort") for value in ("", "id:", ":asc", "id:asc:desc", "ID", "id,name", "%00")),
        *((f"type={value}", "type") for value in ("", "SNAPSHOT", "%FF", "%ED%A0%80", "snapshot%00")),
        *((f"label_selector={value}", "label_selector") for value in ("%FF", "%ED%A0%80", "%00", "k,")),
        ("type=snapshot&type=nothing", "type"),
        ("per_page=50&per_page=0", "per_page"),
        (f"bound_to={HUGE}", "bound_to"),
        ("include_deprecated=", "include_deprecated"),
    ],
    ids=lambda text: text[:30],
)
def test_a_parameter_is_rejected_when_its_value_is_not_documented(
    client: httpx.Client, query: str, name: str
) -> None:
    _assert_rejected(client, f"/images?{query}", name)


@pytest.mark.parametrize(
    "query", ["unknown=1", "%zz=%", "=", "&&&", ";;;", "%FF=%FF", "page=1&page=1", "name"]
)
def test_images_are_listed_when_the_query_has_unknown_parameters(client: httpx.Client, query: str) -> None:
    expected = [] if query == "name" else [FIRST, FIRST + 1]
    assert ids_of(client.get(f"/images?{query}")) == expected


def test_a_page_is_empty_when_it_is_far_beyond_the_last(client: httpx.Client) -> None:
    answer = client.get(f"/images?page={2**53 - 1}")
    assert ids_of(answer) == []
    assert answer.json()["meta"]["pagination"]["next_page"] is None


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"null",
            b"1",
            b'""',
            b"[]",
            b"{",
            b"{}{}",
            b"\xef\xbb\xbf{}",
            b"{\x00}",
            b"\xff\xfe{\x00}\x00",
        ),
        *(b'{"description": "\xff"}', b'{"description": "\xed\xa0\x80"}', b'{"description": "\\ud800"}'),
        *(b'{"description": NaN}', b"[" * 100_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000, b"x=1&y=2"),
    ],
    ids=lambda body: ascii(body)[:24],
)
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", ""])
def test_a_body_is_rejected_when_it_is_no_json_object(
    client: httpx.Client, body: bytes, media_type: str
) -> None:
    answer = client.put(f"/images/{FIRST}", content=body, headers={"Content-Type": media_type})
    assert error_of(answer) == (400, "json_error")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"description": 1}, "must be a string"),
        ({"description": None}, "must be a string"),
        ({"type": ["snapshot"]}, "must be a string"),
        ({"type": "backup"}, "must be snapshot"),
        ({"name": "x"}, "is unknown"),
    ],
    ids=str,
)
def test_the_message_names_the_json_type_when_a_field_is_not_valid(
    client: httpx.Client, body: dict[str, object], message: str
) -> None:
    answer = client.put(f"/images/{FIRST}", json=body)
    assert error_of(answer) == (422, "invalid_input")
    [field] = answer.json()["error"]["details"]["fields"]
    assert field == {"name": next(iter(body)), "messages": [message]}


def test_the_message_says_boolean_when_the_flag_is_none(client: httpx.Client) -> None:
    answer = client.post(f"/images/{FIRST}/actions/change_protection", json={"delete": "yes"})
    assert answer.json()["error"]["details"]["fields"][0]["messages"] == ["must be a boolean"]


def test_a_body_is_taken_whole_when_it_is_of_many_megabytes() -> None:
    body = json.dumps({"description": "x" * 8_000_000}).encode()
    with asked(snapshots=1) as (sandbox, client):
        assert client.put(f"/images/{FIRST}", content=body).status_code == 200
        assert len(sandbox.images[FIRST]["description"]) == 8_000_000


def _assert_rejected(client: httpx.Client, path: str, name: str) -> None:
    answer = client.get(path)
    assert error_of(answer) == (422, "invalid_input")
    assert [field["name"] for field in answer.json()["error"]["details"]["fields"]] == [name]
