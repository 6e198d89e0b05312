"""From an answer's status, headers and body to a model or an error: functions of data, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

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
from hetzner_cloud.sanitize import printable

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Answer:
    """An answer, whole; `request` names what was asked, e.g. `GET /images`."""

    request: str
    status_code: int
    body: bytes
    correlation_id: str | None = None


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: InvalidRequestError,
    409: ConflictError,
    410: DeprecatedEndpointError,
    412: ResourceUnavailableError,
    422: InvalidRequestError,
    423: ProtectedError,
    429: RateLimitError,
}
_BY_STATUS_AND_CODE: dict[tuple[int, str], type[ApiError]] = {
    (401, "token_readonly"): ReadOnlyTokenError,
    (403, "token_readonly"): ReadOnlyTokenError,
    (423, "locked"): LockedError,
}
_ADVICE: dict[type[ApiError], str] = {
    AuthenticationError: ". The token of {owner} is not valid (any more): make a new one in the Hetzner "
    "Console, on the project's page Security, API tokens, and save it",
    ReadOnlyTokenError: ". The token of {owner} may only read: make one with the permission Read & Write in "
    "the Hetzner Console, on the project's page Security, API tokens, and save it",
}


def parse_model(model: type[M], answer: Answer) -> M:
    """Parse a successful answer.

    Raises:
        InvalidResponseError: The body is empty, no JSON, or not of the documented shape.
    """
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the body"
        what = f"{place}: {fault['msg']}" if answer.body else "the body is empty"
    text = f"{answer.request} was answered with {answer.status_code} and not what is documented: {what}"
    raise InvalidResponseError(text, "invalid_response", answer.status_code, answer.correlation_id)


def parse_error(answer: Answer, owner: str = "this project") -> ApiError:
    """Make the error of an answer that is none of success, whatever its body.

    `owner` says whose token it is, where that is refused.
    """
    content = _error_content(answer.body)
    code = printable(content["code"]) if isinstance(content.get("code"), str) else ""
    message = printable(content["message"]) if isinstance(content.get("message"), str) else ""
    details = content.get("details") if isinstance(content.get("details"), Mapping) else None
    kind = _BY_STATUS_AND_CODE.get((answer.status_code, code), _BY_STATUS.get(answer.status_code, ApiError))
    if answer.status_code >= 500:
        kind = ServerError
    if kind is LockedError and not answer.request.endswith("/change_protection"):
        kind = (
            ProtectedError  # that another action runs keeps nobody from reading: waiting for it helps nothing
        )
    text = f"{answer.request} was answered with {answer.status_code}" + (f": {message}" if message else "")
    text += _ADVICE.get(kind, "").format(owner=owner)
    return kind(
        text, code or f"http_{answer.status_code}", answer.status_code, answer.correlation_id, details
    )


def _error_content(body: bytes) -> Mapping[str, Any]:
    try:
        content = from_json(body)
    except ValueError:  # empty, HTML or cut short: a gateway between the API and us
        return {}
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, dict) else {}
