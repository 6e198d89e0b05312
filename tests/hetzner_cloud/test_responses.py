"""From a response to a model or an error: every documented pair of status and code, and every broken body."""

from typing import Any

import pytest

from hetzner_cloud.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    DeprecatedEndpointError,
    InvalidRequestError,
    InvalidResponseError,
    LockedError,
    NotFoundError,
    PermissionDeniedError,
    ProtectedError,
    RateLimitError,
    ReadOnlyTokenError,
    ResourceUnavailableError,
    ServerError,
)
from hetzner_cloud.models import Action
from hetzner_cloud.responses import ApiResponse, parse_error, parse_model
from hetzner_cloud.retry import is_transient
from tests.support.api_json import CORRELATION_ID, action_json, body_of, error_json

TRANSIENT, PERMANENT = True, False
TABLE = [
    (400, "json_error", InvalidRequestError, PERMANENT),
    (405, "method_not_allowed", InvalidRequestError, PERMANENT),
    (401, "unauthorized", AuthenticationError, PERMANENT),
    (401, None, AuthenticationError, PERMANENT),
    (401, "token_readonly", ReadOnlyTokenError, PERMANENT),
    (403, "token_readonly", ReadOnlyTokenError, PERMANENT),
    (403, "forbidden", PermissionDeniedError, PERMANENT),
    (403, "resource_limit_exceeded", PermissionDeniedError, PERMANENT),
    (403, "maintenance", ResourceUnavailableError, PERMANENT),
    (404, "not_found", NotFoundError, PERMANENT),
    (404, None, NotFoundError, PERMANENT),
    (409, "conflict", ConflictError, TRANSIENT),
    (409, "uniqueness_error", ConflictError, PERMANENT),
    (409, None, ConflictError, PERMANENT),
    (410, "deprecated_api_endpoint", DeprecatedEndpointError, PERMANENT),
    (412, "resource_unavailable", ResourceUnavailableError, PERMANENT),
    (422, "invalid_input", InvalidRequestError, PERMANENT),
    (422, "service_error", InvalidRequestError, PERMANENT),
    (422, "unsupported_error", InvalidRequestError, PERMANENT),
    (423, "locked", LockedError, TRANSIENT),
    (423, "protected", ProtectedError, PERMANENT),
    (423, None, ProtectedError, PERMANENT),
    (429, "rate_limit_exceeded", RateLimitError, PERMANENT),
    (429, None, RateLimitError, PERMANENT),
    (500, "server_error", ServerError, TRANSIENT),
    (500, None, ServerError, TRANSIENT),
    (502, "bad_gateway", ServerError, TRANSIENT),
    (502, None, ServerError, TRANSIENT),
    (503, "unavailable", ServerError, TRANSIENT),
    (503, None, ServerError, TRANSIENT),
    (504, "timeout", ServerError, TRANSIENT),
    (504, None, ServerError, TRANSIENT),
    (418, "unheard_of", ApiError, PERMANENT),
    (302, None, ApiError, PERMANENT),
]
WITHOUT_AN_ERROR = {
    "empty": b"",
    "blank": b"  \n",
    "html": b"<html><body><h1>502 Bad Gateway</h1></body></html>",
    "cut short": b'{"error": {"code": "server_er',
    "no text": b"\xff\xfe\x00\x01",
    "null": b"null",
    "number": b"502",
    "string": b'"server_error"',
    "list": b'[{"error": {"code": "server_error"}}]',
    "no error": b'{"message": "oops"}',
    "error null": b'{"error": null}',
    "error a string": b'{"error": "oops"}',
    "error a list": b'{"error": ["oops"]}',
    "error empty": b'{"error": {}}',
    "fields of other types": b'{"error": {"code": 5, "message": ["no"], "details": "strange"}}',
    "fields null": b'{"error": {"code": null, "message": null, "details": null}}',
    "nested deeply": b'{"error":' * 100_000,
    "brackets": b"[" * 1_000_000,
    "digits": b'{"error": {"code": ' + b"9" * 10_000 + b"}}",
}
HOSTILE = "\x1b[2J\x07over\r\nWARNING forged line\u2028\u202egnp\x00\x9b31m\u200b"

CHANGE = "POST /images/4711/actions/change_protection"


def answer(status: int, body: bytes | dict[str, Any], request: str = "GET /images") -> ApiResponse:
    return ApiResponse(request, status, body_of(body), CORRELATION_ID)


@pytest.mark.parametrize(("status", "code", "kind", "transient"), TABLE)
def test_a_response_becomes_the_error_of_its_status_and_code(
    status: int, code: str | None, kind: type[ApiError], *, transient: bool
) -> None:
    error = parse_error(answer(status, error_json(code) if code else b"", CHANGE))
    assert type(error) is kind
    assert (error.status_code, error.correlation_id) == (status, CORRELATION_ID)
    assert error.code == (code or f"http_{status}")
    assert is_transient(error) is transient


@pytest.mark.parametrize(("code", "kind"), [("locked", LockedError), ("protected", ProtectedError)])
def test_a_lock_is_told_from_protection_when_a_deletion_is_rejected(code: str, kind: type[ApiError]) -> None:
    assert type(parse_error(answer(423, error_json(code), "DELETE /images/4711"))) is kind


def test_only_a_change_waits_for_another_action_to_finish() -> None:
    error = parse_error(answer(423, error_json("locked"), "GET /images"))
    assert type(error) is ProtectedError
    assert not is_transient(error)


@pytest.mark.parametrize("body", WITHOUT_AN_ERROR.values(), ids=WITHOUT_AN_ERROR)
@pytest.mark.parametrize(
    ("status", "kind"), [(502, ServerError), (404, NotFoundError), (401, AuthenticationError)]
)
def test_the_status_is_enough_when_the_body_is(status: int, kind: type[ApiError], body: bytes) -> None:
    error = parse_error(answer(status, body))
    assert type(error) is kind
    assert (error.code, error.correlation_id, error.details) == (f"http_{status}", CORRELATION_ID, {})
    assert error.message.startswith(f"GET /images returned {status}")
    assert len(str(error)) < 400


def test_an_error_names_the_request_the_message_the_code_and_the_correlation_id() -> None:
    error = parse_error(answer(404, error_json("not_found", "image not found")))
    text = "GET /images returned 404: image not found"
    assert str(error) == f"{text} (not_found, {CORRELATION_ID})"


def test_an_error_keeps_its_details() -> None:
    details = {"fields": [{"name": "label_selector", "messages": ["is malformed"]}]}
    error = parse_error(answer(422, error_json("invalid_input", details=details)))
    assert error.details == details
    assert error.detail.endswith(": label_selector: is malformed")


def test_no_control_character_of_an_error_reaches_a_log() -> None:
    details = {"fields": [{"name": HOSTILE, "messages": [HOSTILE]}], "announcement": HOSTILE}
    for status in (410, 422):
        error = parse_error(answer(status, error_json(HOSTILE, HOSTILE, details)))
        shown = f"{error}{error.code}{error.message}{getattr(error, 'announcement', '')}"
        assert shown.isprintable()
        assert "WARNING forged line" in shown


def test_the_message_of_an_error_is_bounded_when_its_message_is_endless() -> None:
    assert len(str(parse_error(answer(400, error_json("c" * 100_000, "m" * 100_000))))) < 1_000


@pytest.mark.parametrize(
    ("code", "advice"),
    [("unauthorized", "the credentials block 'prod' is invalid"), ("token_readonly", "is read-only")],
)
def test_a_rejected_token_is_named_with_what_to_do(code: str, advice: str) -> None:
    error = parse_error(answer(401, error_json(code)), "the credentials block 'prod'")
    assert "the credentials block 'prod'" in str(error)
    assert advice in str(error)
    assert "Hetzner Console" in str(error)


def test_the_label_is_used_as_it_is_when_it_looks_like_a_placeholder() -> None:
    assert "{owner} {0}" in str(parse_error(answer(401, b""), "{owner} {0}"))


def test_a_success_is_read() -> None:
    assert parse_model(Action, answer(201, action_json(13))).id == 13


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "the body is empty"),
        (b"<html></html>", "Invalid JSON"),
        (b'{"id": 13, "sta', "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 1_000_000, "Invalid JSON"),
        (b'{"id": ' + b"9" * 10_000 + b"}", "id: Input should be a valid integer"),
        (b"null", "the body"),
        (b"[]", "the body"),
        (b"{}", "id: Field required"),
        (b'{"error": {"code": "server_error"}}', "id: Field required"),
        (b'{"id": "13", "status": "running"}', "id: Input should be a valid integer"),
        (b'{"id": 13, "status": 5}', "status: Input should be a valid string"),
        (b'{"id": 13}', "status: Field required"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_that_is_not_as_documented_is_worth_a_retry(status: int, body: bytes, what: str) -> None:
    with pytest.raises(InvalidResponseError, match=what) as caught:
        parse_model(Action, answer(status, body))
    error = caught.value
    assert (error.code, error.status_code, error.correlation_id) == (
        "invalid_response",
        status,
        CORRELATION_ID,
    )
    assert f"GET /images returned {status}" in str(error)
    assert is_transient(error)
    assert len(str(error)) < 400


def test_nothing_of_a_strange_success_is_repeated_in_the_error() -> None:
    body = {"id": HOSTILE, "status": {HOSTILE: HOSTILE}, HOSTILE: HOSTILE}
    with pytest.raises(InvalidResponseError) as caught:
        parse_model(Action, answer(200, body))
    assert "forged" not in f"{caught.value!r}{caught.value.args}"
