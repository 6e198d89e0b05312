"""What is known of the actions that are waited for, and the result of the wait."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hetzner_cloud.errors import (
    ActionError,
    ActionFailedError,
    ActionNotFoundError,
    ActionUnfinishedError,
    AuthenticationError,
    HetznerCloudError,
    PermissionDeniedError,
)
from hetzner_cloud.models import Action
from hetzner_cloud.retry import is_transient
from hetzner_cloud.sanitize import join_bounded
from hetzner_cloud.unreadable_entries import UnreadableActionsError

_MAX_MISSES = 3  # a response may lag behind the change


@dataclass
class ActionTracker:
    """Follows actions by id.

    Attributes:
        actions: Each as last seen.
        misses: How many responses in a row did not contain it.
        errors: How many polls of it met an error that is not transient.
        given_up: Why it is polled no more, although it is not known to have finished.
        percent: The progress of all of them; it never decreases.
    """

    actions: dict[int, Action]
    misses: dict[int, int] = field(default_factory=dict)
    errors: dict[int, int] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)
    percent: float = 0.0

    def running(self) -> list[int]:
        """Return the ids that are still polled."""
        return [
            action_id
            for action_id, action in self.actions.items()
            if not action.is_finished and action_id not in self.given_up and not self.is_missing(action_id)
        ]

    def is_missing(self, action_id: int) -> bool:
        """Return whether the API does not know it."""
        return self.misses.get(action_id, 0) > _MAX_MISSES

    def update(self, polled: Sequence[int], received: Sequence[Action]) -> list[Action]:
        """Record a response; returns the actions that it reports as finished."""
        found = {action.id: action for action in received if action.id in polled}
        for action_id in polled:
            self.misses[action_id] = 0 if action_id in found else self.misses.get(action_id, 0) + 1
        self.actions |= found
        return [action for action in found.values() if action.is_finished]

    def update_readable(self, polled: Sequence[int], error: UnreadableActionsError) -> list[Action]:
        """Record a response with entries that could not be read; returns what it reports as finished.

        What one of them may be about is neither finished nor missing: only the verification can decide.
        """
        named = {entry.id for entry in error.unreadable}
        found = {action.id for action in error.actions}
        unknown = [one for one in polled if one in named or (None in named and one not in found)]
        self._count_error(unknown, str(error))
        readable = [action for action in error.actions if action.id not in unknown]
        return self.update([one for one in polled if one not in unknown], readable)

    def record_poll_error(self, polled: Sequence[int], error: HetznerCloudError) -> None:
        """Record a failed poll: no failed action, but an error that stays ends the wait for its batch."""
        if isinstance(error, AuthenticationError | PermissionDeniedError):
            self.give_up(self.running(), str(error))
        elif not is_transient(error):
            self._count_error(polled, str(error))

    def _count_error(self, polled: Sequence[int], reason: str) -> None:
        for action_id in polled:
            self.errors[action_id] = self.errors.get(action_id, 0) + 1
        self.give_up([one for one in polled if self.errors[one] > _MAX_MISSES], reason)

    def give_up(self, action_ids: Sequence[int], reason: str) -> None:
        """Poll them no more."""
        self.given_up |= dict.fromkeys(action_ids, reason)

    def measure(self) -> float:
        """Return the progress of all actions together in percent; never less than before."""
        parts = [100.0 if one.is_finished else min(99.0, one.progress) for one in self.actions.values()]
        self.percent = max(self.percent, sum(parts) / len(parts) if parts else 100.0)
        return self.percent

    def result_or_raise(self, given: Sequence[Action], timeout_seconds: float) -> list[Action]:
        """Return the actions in the order given if all succeeded.

        Raises:
            ActionError: Not all did.
        """
        known = [self.actions[action.id] for action in given]
        if all(action.succeeded for action in known):
            return known
        failed = [action for action in known if action.failed]
        missing = [one for one in known if not one.is_finished and self.is_missing(one.id)]
        unfinished = [one for one in known if not one.is_finished and not self.is_missing(one.id)]
        succeeded = [action for action in known if action.succeeded]
        raise _error_class(failed, unfinished)(
            succeeded, failed, unfinished, missing, self._reason(unfinished, timeout_seconds)
        )

    def describe_cancelled(self) -> str:
        """Name the first of what still runs."""
        running = join_bounded(str(self.actions[action_id]) for action_id in self.running())
        return f"The wait was cancelled; still running: {running or 'nothing'}"

    def _reason(self, unfinished: Sequence[Action], timeout_seconds: float) -> str:
        if not unfinished:
            return ""
        given_up = [self.given_up[one.id] for one in unfinished if one.id in self.given_up]
        if not given_up:
            return f"waited {timeout_seconds:g} s"
        if len(given_up) == len(unfinished):
            return f"polling them failed: {given_up[0]}"
        return f"waited {timeout_seconds:g} s; polling {len(given_up)} of them failed: {given_up[0]}"


def _error_class(failed: Sequence[Action], unfinished: Sequence[Action]) -> type[ActionError]:
    if failed:
        return ActionFailedError
    return ActionUnfinishedError if unfinished else ActionNotFoundError
