"""The ways the API says no, in its own error body."""

from collections.abc import Mapping
from typing import Any


class RefusedError(Exception):
    """A request was answered with an error."""

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, code, message, details)
        self.status = status
        self.body = error_body(code, message, details)


def error_body(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Make the body of an error answer."""
    return {"error": {"code": code, "message": message, "details": details}}


def invalid_input(name: str, message: str) -> RefusedError:
    """Name the field that is not accepted."""
    fields = [{"name": name, "messages": [message]}]
    return RefusedError(422, "invalid_input", f"invalid input in field '{name}'", {"fields": fields})


def json_error() -> RefusedError:
    return RefusedError(400, "json_error", "unable to parse JSON body")


def unauthorized() -> RefusedError:
    return RefusedError(401, "unauthorized", "unable to authenticate")


def token_readonly() -> RefusedError:
    return RefusedError(401, "token_readonly", "token is only allowed to perform read operations")


def rate_limit_exceeded() -> RefusedError:
    return RefusedError(429, "rate_limit_exceeded", "limit of requests per hour reached")


def not_found(what: str) -> RefusedError:
    return RefusedError(404, "not_found", f"{what} not found")


def method_not_allowed() -> RefusedError:
    return RefusedError(405, "method_not_allowed", "method not allowed")


def unsupported(message: str) -> RefusedError:
    return RefusedError(422, "unsupported_error", message)


def locked() -> RefusedError:
    return RefusedError(423, "locked", "image is locked")


def protected() -> RefusedError:
    return RefusedError(423, "protected", "image deletion is protected")


def deprecated_api_endpoint(announcement: str) -> RefusedError:
    details = {"announcement": announcement}
    return RefusedError(410, "deprecated_api_endpoint", "this endpoint was removed", details)
