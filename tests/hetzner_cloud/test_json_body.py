"""What is read of a body: what is no Unicode is replaced, and the token is masked however it is spelled."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from pydantic_core import from_json

from hetzner_cloud.json_body import JsonBody, parse_body
from hetzner_cloud.pages import ImagesPage
from hetzner_cloud.redaction import Redactor
from hetzner_cloud.responses import ApiResponse, parse_error, parse_model
from tests.support.api_json import CORRELATION_ID, TOKEN, body_of, error_json, image_json

MASK = "**********"
SHORT: dict[str, str] = {'"': '\\"', "\\": "\\\\", "/": "\\/"}


def spelled(text: str, choices: Callable[[], int]) -> str:
    """Spell a text in JSON: each character as it is, in either case of hex digits, or by its short escape."""
    forms = []
    for character in text:
        plain = SHORT.get(character, character)
        code = f"{ord(character):04x}"
        forms.append([plain, f"\\u{code}", f"\\u{code.upper()}", SHORT.get(character, plain)])
    return "".join(form[choices() % 4] for form in forms)


@pytest.mark.parametrize(
    ("received", "read"),
    [
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        (b'{"a": "x\\ud83d"}', {"a": "x\ufffd"}),
        (b'{"a": "\\ude00x"}', {"a": "\ufffdx"}),
        (b'{"\\ud83d": [1, {"b": "\\ud83d"}]}', {"\ufffd": [1, {"b": "\ufffd"}]}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": "\xed\xa0\xbd"}', {"a": "\ufffd\ufffd\ufffd"}),
        (b'{"a": "b\x01c"}', {"a": "b\x01c"}),
        (b'{"a": "\\u0000"}', {"a": "\0"}),
        (b'{"a": ' + b"9" * 5_000 + b', "b": 1}', {"a": None, "b": 1}),
        (b'{"a": ' + b"[" * 300 + b"]" * 300 + b', "b": 1}', {"b": 1}),
    ],
    ids=["pair", "first half", "second half", "key", "no UTF-8", "raw half", "control",
         "NUL", "digits", "deep"],
)  # fmt: skip
def test_a_body_is_read_when_it_has(received: bytes, read: dict[str, Any]) -> None:
    body = body_of(received)
    assert not body.error
    assert isinstance(body.content, dict)
    assert {name: body.content[name] for name in read} == read
    json.dumps(body.content, ensure_ascii=False).encode()  # as Prefect and databases need it


@pytest.mark.parametrize(
    "received",
    [b"<html>", b'{"a": 1', b"[" * 1_000_000, b'{"a": "\\ud83d', b"\xff\xfe", b'\xef\xbb\xbf{"a": 1}'],
    ids=["html", "cut short", "brackets", "cut in half a pair", "no text", "byte order mark"],
)
def test_a_body_is_no_json_when_it_is(received: bytes) -> None:
    body = body_of(received)
    assert body.content is None
    assert body.error.startswith("Invalid JSON: ")


def test_a_body_of_megabytes_is_not_parsed_leniently() -> None:
    padding = json.dumps("x" * 2**20)
    assert body_of(f'{{"a": "\\ud83d", "b": {padding}}}'.encode()).error.startswith("Invalid JSON: ")
    assert not body_of(f'{{"a": "\\u0041", "b": {padding}}}'.encode()).error


def test_an_empty_body_is_named() -> None:
    assert body_of(b"") == JsonBody(error="the body is empty")


@given(
    token=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=64),
    before=st.text(max_size=5),
    seed=st.integers(0, 2**32),
    corrupted=st.booleans(),
)
def test_no_spelling_of_the_token_is_read(token: str, before: str, seed: int, *, corrupted: bool) -> None:
    choose = random.Random(seed)
    quoted = json.dumps(before)[1:-1] + spelled(token, lambda: choose.randrange(4))
    half = ', "half": "\\ud800"' if corrupted else ""
    received = f'{{"{quoted}": [{{"{quoted}": "{quoted}"}}, "{quoted}"]{half}}}'.encode()
    if not corrupted:
        assert token in next(iter(from_json(received)))
    content = parse_body(received, Redactor(SecretStr(token))).content
    assert isinstance(content, dict)
    assert not has_token(content, token)


def has_token(value: object, token: str) -> bool:
    if isinstance(value, dict):
        return any(has_token(part, token) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(has_token(part, token) for part in value)
    return isinstance(value, str) and token in value


@given(seed=st.integers(0, 2**32), status=st.sampled_from([400, 401, 404, 410, 422, 429, 500]))
def test_no_spelling_of_the_token_is_in_an_error(seed: int, status: int) -> None:
    choose = random.Random(seed)
    field = {"name": "@", "messages": ["@", {"@": "@"}]}
    content = json.dumps(error_json("@", "no @", {"fields": [field], "announcement": "@", "@": ["@"]}))
    spelled_out = "".join(
        spelled(TOKEN, lambda: choose.randrange(4)) if part == "@" else part for part in content
    )
    error = parse_error(ApiResponse("GET /images", status, body_of(spelled_out.encode()), CORRELATION_ID))
    shown = f"{error} {error!r} {error.args!r} {vars(error)!r}"
    assert TOKEN not in shown
    assert MASK in shown


@given(seed=st.integers(0, 2**32))
def test_no_spelling_of_the_token_is_in_an_image(seed: int) -> None:
    choose = random.Random(seed)
    fields = {"type": "snapshot", "status": "@", "name": "@", "description": "@", "labels": {"@": "@"}}
    fields |= {
        "created_from": {"id": 1, "name": "@"},
        "os_flavor": "@",
        "os_version": "@",
        "architecture": "@",
    }
    bad = image_json(2, protection={"@": "@"}, description="@", type="@")
    content = json.dumps({"images": [image_json(1, **fields), bad]})
    received = "".join(
        spelled(TOKEN, lambda: choose.randrange(4)) if part == "@" else part for part in content
    )
    page = parse_model(ImagesPage, ApiResponse("GET /images", 200, body_of(received.encode())))
    assert TOKEN not in f"{page!r} {page.images} {page.unreadable}"
    assert page.images[0].labels == {MASK: MASK}


def test_what_only_looks_like_an_escape_is_left_as_it_is() -> None:
    assert body_of({"a": "\\u0041 \\/ \\\\"}).content == {"a": "\\u0041 \\/ \\\\"}


def test_a_body_without_the_token_is_the_same_object_that_was_parsed() -> None:
    content = {"images": [image_json(1, description='a "quoted" path C:\\backups é 😀\n')]}
    assert body_of(content).content == content


def test_a_token_that_is_too_short_is_not_masked() -> None:
    body = parse_body(b'{"a": "\\u006eot found"}', Redactor(SecretStr("not")))
    assert body.content == {"a": "not found"}


def test_the_token_is_not_in_what_a_redactor_shows() -> None:
    redactor = Redactor(SecretStr(TOKEN))
    assert TOKEN not in f"{redactor!r} {vars(redactor)!r}"
    assert redactor.redact_text(f"\ud800 Bearer {TOKEN}\n") == f"Bearer {MASK}"


def test_a_body_of_megabytes_with_the_token_is_not_read() -> None:
    padding = json.dumps("x" * 2**20)
    body = body_of(f'{{"a": "{TOKEN}", "b": {padding}}}'.encode())
    assert body == JsonBody(error="it contains the API token, and has more than 1048576 bytes")
