"""The active faults, and which of them affects a request."""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from sandbox.faults import Fault


@dataclass
class _ArmedFault:
    fault: Fault
    seen: int = 0

    def fires(self) -> bool:
        """Count a request, and return whether the fault affects it."""
        self.seen += 1
        turn = self.seen - self.fault.after
        return turn > 0 and (self.fault.times is None or turn <= self.fault.times)


class FaultInjector:
    """The active faults, in the order they were added; of several that match, the first that fires wins."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._armed = [_ArmedFault(fault) for fault in faults]
        self._lock = Lock()

    def add(self, *faults: Fault) -> None:
        self._armed = [*self._armed, *map(_ArmedFault, faults)]

    def clear(self) -> None:
        self._armed = []

    def __len__(self) -> int:
        return len(self._armed)

    def take_response_fault(self, operation: str, image_ids: Iterable[int]) -> Fault | None:
        """Return the fault of this response, if any; each call counts as one request."""
        return self._take("response", operation, image_ids)

    def take_action_fault(self, image_id: int) -> Fault | None:
        """Return the fault of the action that this change starts, if any; each call counts as one request."""
        return self._take("action", "change_image_protection", (image_id,))

    def take_deletion_fault(self, image_id: int) -> Fault | None:
        """Return the fault of this deletion, if any; each call counts as one request."""
        return self._take("deletion", "delete_image", (image_id,))

    def _take(self, affected: str, operation: str, image_ids: Iterable[int]) -> Fault | None:
        with self._lock:
            matching = (
                armed
                for armed in self._armed
                if armed.fault.affects == affected and armed.fault.concerns(operation, image_ids)
            )
            return next((armed.fault for armed in matching if armed.fires()), None)
