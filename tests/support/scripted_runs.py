"""Flow runs of batches that live by a script, on a clock that only sleeping moves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelling, Completed, Crashed, Pending, Running, Scheduled

from snapshot_protection.outcomes import SnapshotOutcome
from snapshot_protection.protection_report import ProjectReport, ProtectionReport

_BEAT = 30.0


def report_on(names: Sequence[str], *, image_id: int = 7) -> ProtectionReport:
    outcome = SnapshotOutcome(project="", image_id=image_id, description="", server="", outcome="protected")
    projects = [ProjectReport(project=name, snapshots=(outcome,)) for name in names]
    return ProtectionReport(dry_run=False, projects=tuple(projects))


def new_run() -> FlowRun:
    return FlowRun(id=uuid4(), flow_id=uuid4(), name="protect-a-b", state=Scheduled())


@dataclass
class Life:
    """What becomes of a flow run.

    Attributes:
        states: The states that it enters, by seconds after its start; None: it is deleted.
        alive_until: Until then it sends heartbeats.
        report: What it publishes before it is Completed or Failed.
        obeys: Whether setting its state from outside changes anything.
    """

    states: Sequence[tuple[float, State[Any] | None]]
    alive_until: float = 0.0
    report: ProtectionReport | None = None
    obeys: bool = True
    start: float = 0.0
    run: FlowRun = field(default_factory=new_run)
    set_from_outside: list[tuple[float, State[Any]]] = field(default_factory=list)

    def state_at(self, now: float) -> State[Any] | None:
        entered = [*self.states, *((at - self.start, state) for at, state in self.set_from_outside)]
        current: State[Any] | None = self.run.state
        for after, state in sorted(entered, key=lambda one: one[0]):
            if now - self.start >= after:
                current = state
        return current

    def set_state(self, now: float, state: State[Any]) -> None:
        current = self.state_at(now)
        if self.obeys and current and not current.is_final():
            self.set_from_outside.append((now, state))

    def last_heartbeat(self, now: float) -> datetime | None:
        if not self.alive_until:
            return None
        beats = min(now - self.start, self.alive_until) // _BEAT
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.start + beats * _BEAT)


def completing(after: float, *, names: Sequence[str] = ("a", "b"), image_id: int = 7) -> Life:
    states: list[tuple[float, State[Any] | None]] = [
        (2.0, Pending()),
        (4.0, Running()),
        (after, Completed()),
    ]
    return Life(states, alive_until=after, report=report_on(names, image_id=image_id))


class ScriptedRuns:
    """Stands in for `BatchRuns`: each start begins the next life, or fails."""

    def __init__(
        self,
        *lives: Life | Exception,
        unreachable: tuple[float, float] = (0, 0),
        error: Exception | None = None,
    ) -> None:
        self.now = 0.0
        self.lives = list(lives)
        self.begun: dict[UUID, Life] = {}
        self.unreachable = unreachable
        self.error = error or httpx.ConnectError("All connection attempts failed")
        self.started: list[tuple[float, int, int]] = []
        self.crashed: list[UUID] = []
        self.cancelled: list[UUID] = []
        self.at_once = 0
        self.looks = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _respond(self) -> None:
        since, until = self.unreachable
        if since <= self.now < until:
            raise self.error

    async def start(self, parameters: Mapping[str, Any], *, batch: int, number: int) -> FlowRun:
        self._respond()
        life = self.lives.pop(0)
        if isinstance(life, Exception):
            raise life
        life.start = self.now
        self.started.append((self.now, batch, number))
        self.begun[life.run.id] = life
        return life.run

    async def read(self, ids: Sequence[UUID]) -> Mapping[UUID, FlowRun]:
        self._respond()
        self.at_once = max(self.at_once, len(ids))
        found = {one: self.begun[one].state_at(self.now) for one in ids}
        return {
            one: self.begun[one].run.model_copy(update={"state": state})
            for one, state in found.items()
            if state
        }

    async def read_last_heartbeats(self, ids: Iterable[UUID]) -> Mapping[UUID, datetime]:
        self._respond()
        found = {one: self.begun[one].last_heartbeat(self.now) for one in ids}
        return {one: last for one, last in found.items() if last}

    async def find_report(self, flow_run_id: UUID) -> ProtectionReport | None:
        self._respond()
        self.looks += 1
        life = self.begun[flow_run_id]
        state = life.state_at(self.now)
        return life.report if state and (state.is_completed() or state.is_failed()) else None

    async def describe_wait(self, _run: FlowRun) -> str:
        self._respond()
        return "no worker is online"

    async def mark_crashed(self, run: FlowRun, reason: str) -> None:
        self._respond()
        self.crashed.append(run.id)
        self.begun[run.id].set_state(self.now, Crashed(message=reason))

    async def cancel(self, run: FlowRun) -> None:
        self._respond()
        self.cancelled.append(run.id)
        self.begun[run.id].set_state(self.now, Cancelling())
