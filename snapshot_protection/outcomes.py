"""What a run reports of each snapshot: exactly one outcome, with the error and the action behind it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import AuthenticationError, HetznerCloudError, ReadOnlyTokenError
from hetzner_cloud.models import Action, Image
from hetzner_cloud.sanitize import pluralize, printable

OutcomeName = Literal["protected", "already_protected", "would_protect", "deleted", "failed", "unfinished"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ErrorInfo(_Record):
    """What went wrong, as far as a person can use it; `token_rejected`: nothing further need be tried."""

    code: str = ""
    message: str = ""
    correlation_id: str = ""
    token_rejected: bool = False

    @classmethod
    def of(cls, error: Exception) -> "ErrorInfo":
        """Keep what an error says; one that nobody expected is ours, the log has its traceback."""
        if not isinstance(error, HetznerCloudError):
            return cls(code="internal_error", message=printable(repr(error)))
        return cls(
            code=error.code or "",
            message=error.detail,
            correlation_id=error.correlation_id or "",
            token_rejected=isinstance(error, AuthenticationError | ReadOnlyTokenError),
        )

    @property
    def is_deleted(self) -> bool:
        """Whether the API returned that there is no such snapshot; a gateway's 404 has no such code."""
        return self.code == "not_found"


class ChangeResult(_Record):
    """What the request to protect a snapshot came to: an action, or error."""

    image_id: int
    action: Action | None = None
    error: ErrorInfo | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether the API said that there is no such snapshot."""
        return self.error is not None and self.error.is_deleted


class ChangesFailedError(HetznerCloudError):
    """At least one snapshot of a group could not be changed; `results` has one for each, in order."""

    def __init__(self, results: Sequence[ChangeResult]) -> None:
        troubles = [result.error for result in results if result.error and not result.is_deleted]
        text = f"{len(troubles)} of {pluralize(len(results), 'snapshot')} could not be changed"
        first = troubles[0] if troubles else ErrorInfo()
        super().__init__(f"{text}: {first.message}", first.code or None, None, first.correlation_id or None)
        self.results = list(results)
        self.args = (self.results,)


class WaitResult(_Record):
    """What became of the started actions, by their ids.

    Attributes:
        actions: Each as last seen.
        missing: Those that the API did not know.
        reason: Why the wait ended before they did.
    """

    actions: Mapping[int, Action] = {}
    missing: frozenset[int] = frozenset()
    reason: str = ""


class SnapshotOutcome(_Record):
    """What became of one snapshot.

    Attributes:
        server: The name of the server it was made of, empty if that is not known.
        code: The error code of its trouble; a snapshot can be protected in spite of trouble on the way.
        action_id: The action that was started for it, None if none was.
    """

    project: str
    image_id: int
    description: str
    server: str
    outcome: OutcomeName
    code: str = ""
    message: str = ""
    correlation_id: str = ""
    action_id: int | None = None

    @property
    def needs_attention(self) -> bool:
        """Whether a person has to look at it."""
        return self.outcome in {"failed", "unfinished"}


def find_token_rejection(changes: Iterable[ChangeResult]) -> ErrorInfo | None:
    """Find the error of a token that may not change anything."""
    errors = (change.error for change in changes if change.error)
    return next((error for error in errors if error.token_rejected), None)


def make_outcome(
    project: str,
    image: Image,
    outcome: OutcomeName,
    error: ErrorInfo | None = None,
    action: Action | None = None,
) -> SnapshotOutcome:
    """Make an outcome with what is known of the snapshot, sanitized for display."""
    error = error or ErrorInfo()
    return SnapshotOutcome(
        project=project,
        image_id=image.id,
        description=printable(image.description),
        server=printable(image.created_from.name) if image.created_from else "",
        outcome=outcome,
        code=error.code,
        message=error.message,
        correlation_id=error.correlation_id,
        action_id=action.id if action else None,
    )
