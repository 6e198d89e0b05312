"""What can go wrong, split by what a caller can do about it.

* HetznerCloudError
  * InvalidArgumentError: refused here, before any request: mend the argument
  * ApiError: the API answered with an error
    * AuthenticationError: the token is not valid: save another
    * PermissionDeniedError: the token may not do this
      * ReadOnlyTokenError: it may only read
    * InvalidRequestError: the API did not understand or not accept the request; `fields` names what
    * NotFoundError: there is no such image or action (any more)
    * ConflictError: something changed at the same time: ask again
    * LockedError: another action runs on this resource: ask again later
    * ProtectedError: the resource is protected from what was asked
    * ResourceUnavailableError: the resource cannot be used now
    * DeprecatedEndpointError: the endpoint is gone; `announcement` says where to read about it
    * RateLimitError: the project's request budget stayed empty for too long
    * ServerError: the API is at fault: ask again
  * TransportError: no answer came, or not a whole one: ask again
    * InvalidResponseError: an answer came, but not what is documented: ask again
  * ActionError: a wait for actions ended with some that did not succeed
    * ActionFailedError: at least one ended in error
    * ActionUnfinishedError: none failed, some still run: wait for them again
    * ActionNotFoundError: all others succeeded, some are unknown to the API

All of them survive pickling: every field is in `args`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hetzner_cloud.sanitize import printable

if TYPE_CHECKING:
    from hetzner_cloud.models import Action

_MAX_FIELDS_LENGTH = 1000


class HetznerCloudError(Exception):
    """The base of all errors raised here.

    Attributes:
        message: What happened, for a person.
        code: The API's error code, e.g. `not_found`; ours where the API gave none; None where there is none.
        status_code: The HTTP status of the answer, None where there was no answer.
        correlation_id: What Hetzner's support asks for; None where there was no answer.
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
        """What happened, with all that a person needs to mend it."""
        return self.message

    def __str__(self) -> str:
        """Format as the official clients do: message (code, correlation id)."""
        particulars = ", ".join(part for part in (self.code, self.correlation_id) if part)
        return f"{self.detail} ({particulars})" if particulars else self.detail

    def __repr__(self) -> str:
        """Stay readable in a log: some errors carry what became of thousands of snapshots."""
        return f"{type(self).__name__}({str(self)!r})"


class InvalidArgumentError(HetznerCloudError, ValueError):
    """An argument was refused before any request was sent."""


class ApiError(HetznerCloudError):
    """The API answered with an error.

    Attributes:
        details: What the API's error body has under `details`; empty where it has none.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        status_code: int | None = None,
        correlation_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code, status_code, correlation_id, dict(details or {}))
        self.details = dict(details or {})


class AuthenticationError(ApiError):
    """The token is not valid."""


class PermissionDeniedError(ApiError):
    """The token may not do this."""


class ReadOnlyTokenError(PermissionDeniedError):
    """The token may only read."""


class InvalidRequestError(ApiError):
    """The API did not understand or not accept the request."""

    @property
    def fields(self) -> dict[str, list[str]]:
        """The fields at fault, each with the API's messages."""
        fields = self.details.get("fields")
        if not isinstance(fields, list):
            return {}
        return {
            printable(str(field.get("name", ""))): _texts(field.get("messages"))
            for field in fields
            if isinstance(field, Mapping)
        }

    @property
    def detail(self) -> str:
        """The message, then the fields at fault."""
        fields = "; ".join(f"{name}: {', '.join(texts)}".rstrip(": ") for name, texts in self.fields.items())
        return (
            f"{self.message}: {printable(fields, max_length=_MAX_FIELDS_LENGTH)}" if fields else self.message
        )


class NotFoundError(ApiError):
    """There is no such image or action (any more)."""


class ConflictError(ApiError):
    """Something changed at the same time."""


class LockedError(ApiError):
    """Another action runs on this resource."""


class ProtectedError(ApiError):
    """The resource is protected from what was asked."""


class ResourceUnavailableError(ApiError):
    """The resource cannot be used now."""


class DeprecatedEndpointError(ApiError):
    """The endpoint is gone."""

    @property
    def announcement(self) -> str:
        """Where Hetzner announced it, empty if the answer does not say."""
        return printable(str(self.details.get("announcement") or ""))


class RateLimitError(ApiError):
    """The project's request budget stayed empty for too long."""


class ServerError(ApiError):
    """The API is at fault."""


class TransportError(HetznerCloudError):
    """No answer came, or not a whole one."""


class InvalidResponseError(TransportError):
    """An answer came, but not what is documented."""


class ActionError(HetznerCloudError):
    """A wait for actions ended, and not all of them succeeded.

    Attributes:
        succeeded: The actions that ended in success, in the order in which they were given.
        failed: The actions that ended in error.
        unfinished: The actions that still ran when the wait ended, as last seen.
        missing: The actions that the API did not know, as they were given.
        reason: Why the wait ended before they did, empty if it did not.
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
        fault = self.failed[0].error if self.failed else None
        super().__init__(self._describe(), fault.code if fault else None)
        self.args = (self.succeeded, self.failed, self.unfinished, self.missing, reason)

    def __str__(self) -> str:
        """Name every action that did not succeed."""
        return self.message

    def _describe(self) -> str:
        total = len(self.succeeded) + len(self.failed) + len(self.unfinished) + len(self.missing)
        parts = [f"{len(self.succeeded)} of {total} actions succeeded"]
        parts += [f"failed: {_listed(self.failed)}"] if self.failed else []
        parts += [f"still running: {_listed(self.unfinished)}"] if self.unfinished else []
        parts += [f"not found: {_listed(self.missing)}"] if self.missing else []
        parts += [self.reason] if self.reason else []
        return "; ".join(parts)


class ActionFailedError(ActionError):
    """At least one action ended in error."""


class ActionUnfinishedError(ActionError):
    """No action failed, some still ran when the wait ended."""


class ActionNotFoundError(ActionError):
    """All other actions succeeded, some are unknown to the API."""


def _texts(value: object) -> list[str]:
    return [printable(str(text)) for text in (value if isinstance(value, list) else [value]) if text]


def _listed(actions: Sequence["Action"]) -> str:
    return ", ".join(str(action) for action in actions)
