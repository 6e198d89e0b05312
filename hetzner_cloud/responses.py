"""From a response's status and body to a model or an error: functions of data, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

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
from hetzner_cloud.json_body import JsonBody
from hetzner_cloud.models import describe_invalid
from hetzner_cloud.sanitize import printable

M = TypeVar("M", bound=BaseModel)

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
_ADVICE: dict[type[ApiError], str] = {
    AuthenticationError: ". The API token in {credentials} is invalid. Create one in Hetzner Console > "
    "Security > API tokens, and replace it",
    ReadOnlyTokenError: ". The API token in {credentials} is read-only. Create a Read & Write token in "
    "Hetzner Console > Security > API tokens, and replace it",
}


@dataclass(frozen=True)
class ApiResponse:
    """A response, read to its end; `request` names the request, e.g. `GET /images`."""

    request: str
    status_code: int
    body: JsonBody
    correlation_id: str | None = None


def parse_model(model: type[M], response: ApiResponse) -> M:
    """Parse a successful response.

    Raises:
        InvalidResponseError: The body is empty, too long, no JSON, or not of the documented shape.
    """
    reason = response.body.error
    if not reason:
        try:
            return model.model_validate(response.body.content)
        except ValidationError as error:
            reason = describe_invalid(error)
    status = response.status_code
    message = f"{response.request} returned {status} with an undocumented response: {reason}"
    raise InvalidResponseError(message, "invalid_response", status, response.correlation_id)


def require_no_content(response: ApiResponse) -> None:
    """Require the one success that a deletion documents: 204.

    Raises:
        InvalidResponseError: It is another one.
    """
    if (status := response.status_code) != 204:
        message = f"{response.request} returned {status} instead of the documented 204"
        raise InvalidResponseError(message, "invalid_response", status, response.correlation_id)


def parse_error(response: ApiResponse, credentials_label: str = "this project") -> ApiError:
    """Return the error of an unsuccessful response, whatever its body; the label names a rejected token."""
    status, content = response.status_code, _error_content(response.body.content)
    code, reported = _string(content, "code"), _string(content, "message")
    error_class = error_class_for(status, code, response.request)
    message = f"{response.request} returned {status}" + (f": {reported}" if reported else "")
    message += _ADVICE.get(error_class, "").format(credentials=credentials_label)
    details = content.get("details") if isinstance(content.get("details"), Mapping) else None
    return error_class(message, code or f"http_{status}", status, response.correlation_id, details)


def error_class_for(status: int, code: str, request: str) -> type[ApiError]:
    """Return the class of an error by the response's status, its error code and what was requested."""
    match status, code:
        case ((401 | 403), "token_readonly"):
            return ReadOnlyTokenError
        case 423, "locked" if request.endswith("/change_protection") or request.startswith("DELETE "):
            return (
                LockedError  # only a change waits for another action, and a deletion is told from protection
            )
        case _ if status >= 500:
            return ServerError
        case _, "maintenance":
            return ResourceUnavailableError
        case _:
            return _BY_STATUS.get(status, ApiError)


def _string(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return printable(value) if isinstance(value, str) else ""


def _error_content(content: object) -> Mapping[str, Any]:
    """Return an error's content, empty if a gateway between the API and this client made the response."""
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, dict) else {}
