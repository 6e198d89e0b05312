"""Actions: what they show is a function of the time, so nothing has to run while they do."""

from dataclasses import dataclass, replace
from typing import Any

from sandbox.clock import rfc3339
from sandbox.faults import Fault
from sandbox.settings import SandboxSettings

_STUCK_PERCENT = 80  # where actions that never finish were seen to stay
_ODD_ERROR = {"code": "action_failed", "message": "Action failed"}


@dataclass(frozen=True, kw_only=True)
class ActionRecord:
    """One action on an image.

    Attributes:
        started: UNIX seconds.
        seconds: How long it runs; None if it never finishes.
        delete: The deletion protection it sets when it finishes; None if it sets none.
        error: What it fails with; None if it succeeds.
        shown_status: A status it shows forever instead of its own.
        known: Whether lists and lookups find it.
        success_carries_error: Whether it shows an error object although it succeeded.
    """

    id: int
    image_id: int
    started: float
    command: str = "change_protection"
    seconds: float | None = 0.0
    delete: bool | None = None
    error: dict[str, str] | None = None
    shown_status: str | None = None
    known: bool = True
    success_carries_error: bool = False

    @property
    def end(self) -> float:
        """When it finishes, in UNIX seconds; infinite if never."""
        return float("inf") if self.seconds is None else self.started + self.seconds

    def is_running(self, now: float) -> bool:
        return now < self.end

    def as_json(self, now: float) -> dict[str, Any]:
        """Show it as the API does at a time."""
        running = self.shown_status is not None or self.is_running(now)
        result = "success" if self.error is None else "error"
        error = self.error or (_ODD_ERROR if self.success_carries_error else None)
        return {
            "id": self.id,
            "command": self.command,
            "status": self.shown_status or ("running" if running else result),
            "progress": self._progress(now) if running else 100,
            "started": rfc3339(self.started),
            "finished": None if running else rfc3339(self.end),
            "resources": [{"id": self.image_id, "type": "image"}],
            "error": None if running else error,
        }

    def _progress(self, now: float) -> int:
        elapsed = max(0.0, now - self.started)
        if not self.seconds:
            return min(_STUCK_PERCENT, int(elapsed * 20))
        return min(99, int(100 * elapsed / self.seconds))


def plan_action(settings: SandboxSettings, fault: Fault | None, *, delete: bool | None) -> ActionRecord:
    """Plan the action that a change starts; its id, image and start are still to be filled in."""
    action = ActionRecord(
        id=0,
        image_id=0,
        started=0,
        seconds=settings.action_seconds,
        delete=delete,
        success_carries_error=settings.success_carries_error,
    )
    return action if fault is None else _with_fault(action, fault)


def _with_fault(action: ActionRecord, fault: Fault) -> ActionRecord:
    match fault.kind:
        case "action_error":
            error = {"code": fault.code or "action_failed", "message": fault.message}
            return replace(action, error=error, delete=action.delete if fault.takes_effect else None)
        case "action_without_effect":
            return replace(action, delete=None)
        case "action_never_ends":
            return replace(action, seconds=None)
        case "action_status":
            return replace(action, shown_status=fault.code or "paused")
        case "action_unknown":
            return replace(action, known=False)
        case _:  # the others affect no action
            return action
