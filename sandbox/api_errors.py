"""The errors that the API returns, in its own error body."""

from collections.abc import Mapping
from typing import Any


class RequestRejectedError(Exception):
    """A request was rejected: the status and the body of the error response."""

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, code, message, details)
        self.status = status
        self.body = error_body(code, message, details)


def error_body(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Make the body of an error response."""
    return {"error": {"code": code, "message": message, "details": details}}


def invalid_input(name: str, *messages: str) -> RequestRejectedError:
    """Name the field that is invalid, and why."""
    fields = [{"name": name, "messages": list(messages)}]
    return RequestRejectedError(422, "invalid_input", f"invalid input in field '{name}'", {"fields": fields})


def json_error() -> RequestRejectedError:
    return RequestRejectedError(400, "json_error", "unable to parse JSON body")


def unauthorized() -> RequestRejectedError:
    return RequestRejectedError(401, "unauthorized", "unable to authenticate")


def token_readonly() -> RequestRejectedError:
    return RequestRejectedError(401, "token_readonly", "token is only allowed to perform read operations")


def rate_limit_exceeded() -> RequestRejectedError:
    return RequestRejectedError(429, "rate_limit_exceeded", "limit of requests per hour reached")


def not_found(what: str) -> RequestRejectedError:
    return RequestRejectedError(404, "not_found", f"{what} not found")


def method_not_allowed() -> RequestRejectedError:
    return RequestRejectedError(405, "method_not_allowed", "method not allowed")


def unsupported(message: str) -> RequestRejectedError:
    return RequestRejectedError(422, "unsupported_error", message)


def locked() -> RequestRejectedError:
    return RequestRejectedError(423, "locked", "image is locked")


def protected() -> RequestRejectedError:
    return RequestRejectedError(423, "protected", "image deletion is protected")


def deprecated_api_endpoint(announcement: str) -> RequestRejectedError:
    details = {"announcement": announcement}
    return RequestRejectedError(410, "deprecated_api_endpoint", "this endpoint was removed", details)
