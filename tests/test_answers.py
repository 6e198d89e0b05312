"""From an answer to a model or an error: every documented pair, and whatever a gateway may send instead."""

import json
from typing import Any

import pytest

from hetzner_cloud.answers import Answer, read_error, read_model
from hetzner_cloud.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    DeprecatedEndpointError,
    InvalidAnswerError,
    InvalidRequestError,
    LockedError,
    NotFoundError,
    PermissionDeniedError,
    ProtectedError,
    RateLimitError,
    ReadOnlyTokenError,
    ResourceUnavailableError,
    ServerError,
)
from hetzner_cloud.paging import ImagesPage
from hetzner_cloud.retry import heals

PAIRS = [
    (400, "json_error", InvalidRequestError, False),
    (405, "method_not_allowed", InvalidRequestError, False),
    (401, "unauthorized", AuthenticationError, False),
    (401, "token_readonly", ReadOnlyTokenError, False),
    (403, "token_readonly", ReadOnlyTokenError, False),
    (403, "forbidden", PermissionDeniedError, False),
    (403, "resource_limit_exceeded", PermissionDeniedError, False),
    (403, "maintenance", PermissionDeniedError, False),
    (404, "not_found", NotFoundError, False),
    (409, "conflict", ConflictError, True),
    (409, "uniqueness_error", ConflictError, False),
    (409, None, ConflictError, False),
    (410, "deprecated_api_endpoint", DeprecatedEndpointError, False),
    (412, "resource_unavailable", ResourceUnavailableError, False),
    (422, "invalid_input", InvalidRequestError, False),
    (422, "service_error", InvalidRequestError, False),
    (422, "unsupported_error", InvalidRequestError, False),
    (423, "locked", LockedError, True),
    (423, "protected", ProtectedError, False),
    (423, None, ProtectedError, False),
    (429, "rate_limit_exceeded", RateLimitError, False),
    (429, None, RateLimitError, False),
    (500, "server_error", ServerError, True),
    (500, None, ServerError, True),
    (503, "unavailable", ServerError, True),
    (503, None, ServerError, True),
    (502, "bad_gateway", ServerError, True),
    (502, None, ServerError, True),
    (504, "timeout", ServerError, True),
    (504, None, ServerError, True),
    (599, "of tomorrow", ServerError, True),
    (302, None, ApiError, False),
    (418, "of tomorrow", ApiError, False),
]
NO_ERROR_BODIES = {
    "empty": b"",
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "truncated": b'{"error": {"code": "loc',
    "no utf-8": b"\xff\xfe\x00",
    "null": b"null",
    "number": b"1",
    "text": b'"error"',
    "list": b'[{"error": {"code": "locked"}}]',
    "other object": b'{"message": "no"}',
    "error is null": b'{"error": null}',
    "error is text": b'{"error": "locked"}',
    "error is a list": b'{"error": ["locked"]}',
    "fields of other kinds": b'{"error": {"code": 5, "message": ["x"], "details": "y"}}',
    "lone surrogate": b'{"error": {"code": "\\ud800"}}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"error":' * 5_000 + b"1" + b"}" * 5_000,
    "deep within bounds": b'{"error":' * 100 + b"1" + b"}" * 100,
    "huge number": b"1" * 5_000,
}


def refused(status_code: int, body: bytes = b"", correlation_id: str | None = "c0ffee") -> ApiError:
    return read_error(Answer("GET /images", status_code, body, correlation_id), "the block 'prod'")


def error_body(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(("status_code", "code", "kind", "healing"), PAIRS)
def test_an_answer_becomes_its_error_and_heals_or_not_when_it_is(
    status_code: int, code: str | None, kind: type[ApiError], healing: object
) -> None:
    body = error_body(code=code, message="what happened") if code else b""
    error = refused(status_code, body)
    assert type(error) is kind
    assert heals(error) is healing
    assert error.code == (code or f"http_{status_code}")
    assert (error.status_code, error.correlation_id) == (status_code, "c0ffee")


def test_an_error_reads_as_request_status_message_code_and_correlation_id() -> None:
    error = refused(404, error_body(code="not_found", message="no such image"))
    assert str(error) == "GET /images was answered with 404: no such image (not_found, c0ffee)"


@pytest.mark.parametrize("body", NO_ERROR_BODIES.values(), ids=NO_ERROR_BODIES)
@pytest.mark.parametrize(
    ("status_code", "kind"),
    [(404, NotFoundError), (410, DeprecatedEndpointError), (422, InvalidRequestError), (502, ServerError)],
)
def test_an_error_is_judged_by_its_status_when_its_body_is(
    status_code: int, kind: type[ApiError], body: bytes
) -> None:
    error = refused(status_code, body)
    assert type(error) is kind
    assert str(error) == f"GET /images was answered with {status_code} (http_{status_code}, c0ffee)"
    assert error.details == {}


def test_a_hostile_message_and_code_are_shown_on_one_short_line() -> None:
    error = refused(404, error_body(code="x\x1b[2J" * 999, message="a\r\nb\x1b[31m\u202e\u2028" * 99_999))
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def test_the_details_are_kept_when_there_are_some() -> None:
    details = {"fields": [{"name": "delete", "messages": ["is wrong"]}]}
    error = refused(422, error_body(code="invalid_input", message="invalid", details=details))
    assert error.details == details
    assert "delete: is wrong" in str(error)


@pytest.mark.parametrize(
    ("code", "advice"), [("unauthorized", "is not valid"), ("token_readonly", "may only read: .*Read & Write")]
)
def test_a_refused_token_is_named_by_its_owner_with_advice(code: str, advice: str) -> None:
    error = refused(401, error_body(code=code, message="refused"))
    with pytest.raises(ApiError, match=f"The token of the block 'prod' {advice}"):
        raise error


def test_a_model_is_read_from_an_answer_as_documented() -> None:
    body = b'{"images": [{"id": 1, "type": "snapshot", "protection": {"delete": true}}]}'
    [image] = read_model(ImagesPage, Answer("GET /images", 200, body)).images
    assert (image.id, image.is_protected) == (1, True)


@pytest.mark.parametrize(
    "body",
    [
        *NO_ERROR_BODIES.values(),
        b'{"images": null}',
        b'{"images": {}}',
        b'{"images": [{"id": 1}]}',
        b'{"images": [{"id": "\\u001b[31m", "type": "snapshot", "protection": {"delete": true}}]}',
        b'{"images": []} trailing',
        b'{"images": [',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_success_that_is_not_as_documented_is_an_invalid_answer_and_heals(body: bytes) -> None:
    with pytest.raises(InvalidAnswerError, match="GET /images was answered with 200 and not what") as caught:
        read_model(ImagesPage, Answer("GET /images", 200, body, "c0ffee"))
    error = caught.value
    assert (error.code, error.status_code, error.correlation_id) == ("invalid_answer", 200, "c0ffee")
    assert heals(error)
    assert str(error).isprintable()
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("body", "what"),
    [(b"", "the body is empty"), (b'{"images": [{"id": 1, "type": "x"}]}', r"images\.0\.protection: Field required")],
)
def test_an_invalid_answer_names_what_is_wrong_when(body: bytes, what: str) -> None:
    with pytest.raises(InvalidAnswerError, match=what):
        read_model(ImagesPage, Answer("GET /images", 201, body))
