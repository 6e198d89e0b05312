"""The errors, split by what a caller can do about them.

* HetznerCloudError
  * InvalidArgumentError: rejected before any request: fix the argument
  * ApiError: the API returned an error
    * AuthenticationError: the token is invalid: save another
    * PermissionDeniedError: the token may not do this
      * ReadOnlyTokenError: it may only read
    * InvalidRequestError: the API did not accept the request; `fields` names what is invalid
    * NotFoundError: there is no such image or action, or no longer
    * ConflictError: something changed at the same time: retry
    * LockedError: another action runs on this resource: retry later
    * ProtectedError: the resource is protected from the requested change
    * ResourceUnavailableError: the resource cannot be used now
    * DeprecatedEndpointError: the endpoint was removed; `announcement` says where to read about it
    * RateLimitError: the project's request budget stayed empty for too long
    * ServerError: the API failed: retry
  * TransportError: no response was received, or not a whole one: retry
    * InvalidResponseError: the response is not as documented: retry
  * ActionError: after a wait, some actions did not succeed
    * ActionFailedError: at least one failed
    * ActionUnfinishedError: none failed, some still run: wait for them again
    * ActionNotFoundError: all others succeeded, some are unknown to the API

`unreadable_entries` and `deletions` have more. All of them survive pickling: every field is in `args`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hetzner_cloud.sanitize import join_bounded, printable

if TYPE_CHECKING:
    from hetzner_cloud.models import Action

_MAX_FIELDS_LENGTH = 1000
_MAX_FIELDS = 20
_MAX_MESSAGES = 5  # of a field


class HetznerCloudError(Exception):
    """The base of all errors of this package.

    Attributes:
        message: What happened.
        code: The API's error code, e.g. `not_found`; ours where the response has none; else None.
        status_code: The HTTP status of the response, None where there was no response.
        correlation_id: Identifies the request to Hetzner's support; None where there was no response.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        status_code: int | None = None,
        correlation_id: str | None = None,
        *more: object,
    ) -> None:
        super().__init__(message, code, status_code, correlation_id, *more)
        self.message = message
        self.code = code
        self.status_code = status_code
        self.correlation_id = correlation_id

    @property
    def detail(self) -> str:
        """What happened, with all that is needed to fix it."""
        return self.message

    def __str__(self) -> str:
        """Format as the official clients do: message (code, correlation id)."""
        references = ", ".join(part for part in (self.code, self.correlation_id) if part)
        return f"{self.detail} ({references})" if references else self.detail

    def __repr__(self) -> str:
        """Stay readable in a log: some errors hold thousands of actions."""
        return f"{type(self).__name__}({str(self)!r})"


class InvalidArgumentError(HetznerCloudError, ValueError):
    """An argument was rejected before any request was sent."""


class ApiError(HetznerCloudError):
    """The API returned an error.

    Attributes:
        details: What the API's error body has under `details`; empty where it has none.
        retry_after_seconds: The delay in the response's Retry-After; None where it has none.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        status_code: int | None = None,
        correlation_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code, status_code, correlation_id, dict(details or {}), retry_after_seconds)
        self.details = dict(details or {})
        self.retry_after_seconds = retry_after_seconds


class AuthenticationError(ApiError):
    """The token is invalid."""


class PermissionDeniedError(ApiError):
    """The token may not do this."""


class ReadOnlyTokenError(PermissionDeniedError):
    """The token is read-only."""


class InvalidRequestError(ApiError):
    """The API did not accept the request."""

    @property
    def fields(self) -> dict[str, list[str]]:
        """The invalid fields, each with the API's messages: the first ones."""
        fields = self.details.get("fields")
        if not isinstance(fields, list):
            return {}
        return {
            printable(str(field.get("name", ""))): _strings(field.get("messages"))
            for field in fields[:_MAX_FIELDS]
            if isinstance(field, Mapping)
        }

    @property
    def detail(self) -> str:
        """The message, then the invalid fields."""
        fields = "; ".join(f"{name}: {', '.join(texts)}".rstrip(": ") for name, texts in self.fields.items())
        return (
            f"{self.message}: {printable(fields, max_length=_MAX_FIELDS_LENGTH)}" if fields else self.message
        )


class NotFoundError(ApiError):
    """There is no such image or action, or no longer."""


class ConflictError(ApiError):
    """Something changed at the same time."""


class LockedError(ApiError):
    """Another action runs on this resource."""


class ProtectedError(ApiError):
    """The resource is protected from the requested change."""


class ResourceUnavailableError(ApiError):
    """The resource cannot be used now."""


class DeprecatedEndpointError(ApiError):
    """The endpoint was removed."""

    @property
    def announcement(self) -> str:
        """Where Hetzner announced it, empty if the response does not contain it."""
        return printable(str(self.details.get("announcement") or ""))


class RateLimitError(ApiError):
    """The project's request budget stayed empty for too long."""


class ServerError(ApiError):
    """The API failed."""


class TransportError(HetznerCloudError):
    """No response was received, or not a whole one."""


class InvalidResponseError(TransportError):
    """The response is not as documented."""


class ActionError(HetznerCloudError):
    """A wait for actions is over, and not all of them succeeded.

    Attributes:
        succeeded: The actions that succeeded, in the order given.
        failed: The actions that failed.
        unfinished: The actions that still ran when the wait was over, as last seen.
        missing: The actions that the API did not know, as given.
        reason: Why the wait was over before they finished; empty if it was not.
    """

    def __init__(
        self,
        succeeded: Sequence["Action"] = (),
        failed: Sequence["Action"] = (),
        unfinished: Sequence["Action"] = (),
        missing: Sequence["Action"] = (),
        reason: str = "",
    ) -> None:
        self.succeeded = list(succeeded)
        self.failed = list(failed)
        self.unfinished = list(unfinished)
        self.missing = list(missing)
        self.reason = reason
        error = self.failed[0].error if self.failed else None
        super().__init__(self._describe(), error.code if error else None)
        self.args = (self.succeeded, self.failed, self.unfinished, self.missing, reason)

    def __str__(self) -> str:
        """Name the first of the actions that did not succeed; the attributes have all."""
        return self.message

    def _describe(self) -> str:
        total = len(self.succeeded) + len(self.failed) + len(self.unfinished) + len(self.missing)
        parts = [f"{len(self.succeeded)} of {total} actions succeeded"]
        parts += [f"failed: {_join(self.failed)}"] if self.failed else []
        parts += [f"still running: {_join(self.unfinished)}"] if self.unfinished else []
        parts += [f"not found: {_join(self.missing)}"] if self.missing else []
        parts += [self.reason] if self.reason else []
        return "; ".join(parts)


class ActionFailedError(ActionError):
    """At least one action failed."""


class ActionUnfinishedError(ActionError):
    """No action failed, some still ran when the wait was over."""


class ActionNotFoundError(ActionError):
    """All other actions succeeded, some are unknown to the API."""


def _strings(value: object) -> list[str]:
    values = value[:_MAX_MESSAGES] if isinstance(value, list) else [value]
    return [printable(str(text)) for text in values if text]


def _join(actions: Sequence["Action"]) -> str:
    return join_bounded(str(action) for action in actions)
