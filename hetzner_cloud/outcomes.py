"""What a run reports of each snapshot: exactly one outcome, with the error and the action behind it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import AuthenticationError, HetznerCloudError, ReadOnlyTokenError
from hetzner_cloud.models import Action, Image
from hetzner_cloud.text import counted, printable

OutcomeName = Literal["protected", "already_protected", "would_protect", "gone", "failed", "unfinished"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Trouble(_Record):
    """What went wrong, as far as a person can use it; `token_refused`: nothing further need be tried."""

    code: str = ""
    message: str = ""
    correlation_id: str = ""
    token_refused: bool = False

    @classmethod
    def of(cls, error: Exception) -> "Trouble":
        """Keep what an error says; one that nobody expected is ours, the log has its traceback."""
        if not isinstance(error, HetznerCloudError):
            return cls(code="internal_error", message=printable(repr(error)))
        return cls(
            code=error.code or "",
            message=error.explanation,
            correlation_id=error.correlation_id or "",
            token_refused=isinstance(error, AuthenticationError | ReadOnlyTokenError),
        )

    @property
    def is_deleted(self) -> bool:
        """Whether the API returned that there is no such snapshot; a gateway's 404 has no such code."""
        return self.code == "not_found"


class ChangeResult(_Record):
    """What the request to protect a snapshot came to: an action, or trouble."""

    image_id: int
    action: Action | None = None
    trouble: Trouble | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the API said that there is no such snapshot."""
        return self.trouble is not None and self.trouble.is_deleted


class ChangesFailedError(HetznerCloudError):
    """At least one snapshot of a group could not be changed; `results` has one for each, in order."""

    def __init__(self, results: Sequence[ChangeResult]) -> None:
        troubles = [result.trouble for result in results if result.trouble and not result.is_gone]
        text = f"{len(troubles)} of {counted(len(results), 'snapshot')} could not be changed"
        first = troubles[0] if troubles else Trouble()
        super().__init__(f"{text}: {first.message}", first.code or None, None, first.correlation_id or None)
        self.results = list(results)
        self.args = (self.results,)


class Waited(_Record):
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
    def is_trouble(self) -> bool:
        """Whether a person has to look at it."""
        return self.outcome in {"failed", "unfinished"}


def find_token_rejection(changes: Iterable[ChangeResult]) -> Trouble | None:
    """Find the error of a token that may not change anything."""
    troubles = (change.trouble for change in changes if change.trouble)
    return next((trouble for trouble in troubles if trouble.token_refused), None)


def make_outcome(
    project: str,
    image: Image,
    outcome: OutcomeName,
    trouble: Trouble | None = None,
    action: Action | None = None,
) -> SnapshotOutcome:
    """Make an outcome with what is known of the snapshot, sanitized for display."""
    trouble = trouble or Trouble()
    return SnapshotOutcome(
        project=project,
        image_id=image.id,
        description=printable(image.description),
        server=printable(image.created_from.name) if image.created_from else "",
        outcome=outcome,
        code=trouble.code,
        message=trouble.message,
        correlation_id=trouble.correlation_id,
        action_id=action.id if action else None,
    )
