"""The outcome of a run for each snapshot, exactly one, with the error and the action that led to it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.models import Action, Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.unreadable import ListedSnapshot
from snapshot_protection.wording import pluralize

OutcomeName = Literal[
    "failed",
    "unfinished",
    "deleted",
    "exempt",
    "would_protect",
    "protected",
    "already_protected",
]
MOST_SEVERE_FIRST: tuple[OutcomeName, ...] = get_args(OutcomeName)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ChangeResult(_Record):
    """The result of the request to protect a snapshot: an action, or an error."""

    image_id: int
    action: Action | None = None
    error: ErrorInfo | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether the API returned that there is no such snapshot."""
        return self.error is not None and self.error.is_deleted


class ChangesFailedError(HetznerCloudError):
    """At least one snapshot of a group could not be changed; `results` has one for each, in order."""

    def __init__(self, results: Sequence[ChangeResult]) -> None:
        errors = [result.error for result in results if result.error and not result.is_deleted]
        text = f"{len(errors)} of {pluralize(len(results), 'snapshot')} could not be changed"
        first = errors[0] if errors else ErrorInfo()
        super().__init__(f"{text}: {first.message}", first.code or None, None, first.correlation_id or None)
        self.results = list(results)
        self.args = (self.results,)


class WaitResult(_Record):
    """The result of the wait for the started actions.

    Attributes:
        actions: By id, each as last seen.
        missing: The ids of those that the API does not know.
        reason: Why the wait finished before they did.
    """

    actions: Mapping[int, Action] = {}
    missing: frozenset[int] = frozenset()
    reason: str = ""


class SnapshotOutcome(_Record):
    """The outcome for one snapshot.

    Attributes:
        server: The name of the server it was created from, empty if that is not known.
        code: The code of its error; a snapshot can be protected in spite of an error.
        action_id: The action that was started for it, None if none was.
        rule: The rule that governs it, empty if none matches; None if the policy has no rules, or if what
            they match was not seen.
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
    rule: str | None = None

    @property
    def needs_attention(self) -> bool:
        """Whether it failed or is unfinished."""
        return self.outcome in {"failed", "unfinished"}


def find_token_rejection(changes: Iterable[ChangeResult]) -> ErrorInfo | None:
    """Find the error of a request whose token was rejected."""
    errors = (change.error for change in changes if change.error)
    return next((error for error in errors if error.token_rejected), None)


def make_outcome(
    project: str,
    snapshot: ListedSnapshot,
    outcome: OutcomeName,
    error: ErrorInfo | None = None,
    action: Action | None = None,
) -> SnapshotOutcome:
    """Make an outcome with what is known of the snapshot, sanitized for display."""
    error = error or ErrorInfo()
    image = snapshot if isinstance(snapshot, Image) else None
    return SnapshotOutcome(
        project=project,
        image_id=snapshot.id,
        description=printable(image.description) if image else "",
        server=printable(image.created_from.name) if image and image.created_from else "",
        outcome=outcome,
        code=error.code,
        message=error.message,
        correlation_id=error.correlation_id,
        action_id=action.id if action else None,
    )


def severity(outcome: OutcomeName) -> int:
    """Return the place of an outcome in the order of severity, 0 for the most severe."""
    return MOST_SEVERE_FIRST.index(outcome)
