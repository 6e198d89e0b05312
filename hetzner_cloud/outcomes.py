"""What became of each snapshot: pure functions from what was seen to exactly one outcome each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.errors import AuthenticationError, HetznerCloudError, ReadOnlyTokenError
from hetzner_cloud.models import Action, ActionFault, Image
from hetzner_cloud.text import counted, printable

OutcomeName = Literal["protected", "already_protected", "would_protect", "gone", "failed", "unfinished"]

_NOT_YET = frozenset({"locked", "resource_unavailable", "unavailable"})


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


class ChangeResult(_Record):
    """What the request to protect a snapshot came to: an action, or trouble."""

    image_id: int
    action: Action | None = None
    trouble: Trouble | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the API said that there is no such snapshot."""
        return self.trouble is not None and self.trouble.code == "not_found"


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


def choose(images: Iterable[Image]) -> list[Image]:
    """Choose what is to be protected: the snapshots that are not, and nothing else."""
    return [image for image in images if image.is_snapshot and not image.is_protected]


def refusal_among(changes: Iterable[ChangeResult]) -> Trouble | None:
    """Find the trouble of a token that may not change anything."""
    troubles = (change.trouble for change in changes if change.trouble)
    return next((trouble for trouble in troubles if trouble.token_refused), None)


def choose_again(
    listed: Iterable[Image], outcomes: Mapping[int, SnapshotOutcome], *, asked: Collection[int]
) -> list[Image]:
    """Choose what a later listing shows unprotected though nobody knew, or though it was protected before.

    Args:
        listed: The snapshots as they are now.
        outcomes: What became of each so far; those that are trouble are not tried again.
        asked: Those whose protection was asked for just now.
    """
    return [
        image
        for image in choose(listed)
        if image.id not in asked and not (image.id in outcomes and outcomes[image.id].is_trouble)
    ]


def revise(
    project: str, listed: Iterable[Image], outcomes: Mapping[int, SnapshotOutcome]
) -> dict[int, SnapshotOutcome]:
    """Take in what a later listing shows protected: that came up so, or became so after all."""
    revised = dict(outcomes)
    for outcome in protected_before(project, listed):
        known = outcomes.get(outcome.image_id)
        if known is None:
            revised[outcome.image_id] = outcome
        elif known.is_trouble:
            revised[outcome.image_id] = known.model_copy(update={"outcome": "protected"})
    return revised


def by_id(outcomes: Iterable[SnapshotOutcome]) -> dict[int, SnapshotOutcome]:
    """Key outcomes by their snapshot."""
    return {outcome.image_id: outcome for outcome in outcomes}


def protected_before(project: str, images: Iterable[Image]) -> list[SnapshotOutcome]:
    """Report the snapshots for which nothing is to be done."""
    return [
        outcome_of(project, image, "already_protected")
        for image in images
        if image.is_snapshot and image.is_protected
    ]


def outcome_of(
    project: str,
    image: Image,
    outcome: OutcomeName,
    trouble: Trouble | None = None,
    action: Action | None = None,
) -> SnapshotOutcome:
    """Write down an outcome with what is known of the snapshot, fit to be shown."""
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


def judge(
    project: str, image: Image, change: ChangeResult, waited: Waited, seen: Image | Trouble | None
) -> SnapshotOutcome:
    """Tell what became of a snapshot that was to be protected: what was seen afterwards decides.

    Args:
        project: The project's name.
        image: The snapshot as first listed.
        change: What asking for its protection came to.
        waited: What became of the started actions.
        seen: The snapshot afterwards, None if it is gone, or the trouble that keeps us from knowing.
    """
    action = waited.actions.get(change.action.id, change.action) if change.action else None
    trouble = change.trouble or (_action_trouble(action, waited) if action else None)
    if trouble and trouble.token_refused:  # said once for the whole project, and not for each snapshot
        trouble = trouble.model_copy(update={"message": "the project's token was refused"})
    if isinstance(seen, Trouble):
        return _unverified(project, image, action, trouble, seen)
    if seen is None:
        return outcome_of(project, image, "gone", trouble, action)
    if seen.is_protected:
        return outcome_of(project, image, "protected", trouble, action)
    was_creating = "creating" in {image.status, seen.status}
    return _not_protected(project, seen, change, action, trouble, was_creating=was_creating)


def _unverified(
    project: str, image: Image, action: Action | None, trouble: Trouble | None, cause: Trouble
) -> SnapshotOutcome:
    if action is None and trouble:
        return outcome_of(project, image, "gone" if trouble.code == "not_found" else "failed", trouble)
    text = f"whether it is protected is not known, looking at it again failed: {cause.message}"
    text = f"{trouble.message}; {text}" if trouble else text
    unverified = Trouble(code="unverified", message=text, correlation_id=cause.correlation_id)
    return outcome_of(project, image, "failed", unverified, action)


def _not_protected(
    project: str,
    image: Image,
    change: ChangeResult,
    action: Action | None,
    trouble: Trouble | None,
    *,
    was_creating: bool,
) -> SnapshotOutcome:
    if trouble is None:
        trouble = Trouble(code="not_protected", message="its action succeeded, but it is not protected")
    not_yet = was_creating and change.trouble is not None and change.trouble.code in _NOT_YET
    unfinished = not_yet or trouble.code == "action_unfinished"
    return outcome_of(project, image, "unfinished" if unfinished else "failed", trouble, action)


def _action_trouble(action: Action, waited: Waited) -> Trouble | None:
    if action.succeeded:
        return None
    if action.failed:
        fault = action.error or ActionFault()
        text = f"its action failed: {printable(fault.message) or 'no reason given'}"
        return Trouble(code=printable(fault.code) or "action_failed", message=text)
    if action.id in waited.missing:
        return Trouble(code="action_not_found", message="the API does not know its action (any more)")
    text = f"its action still runs at {action.progress:g} %"
    return Trouble(code="action_unfinished", message=f"{text}: {waited.reason}" if waited.reason else text)
