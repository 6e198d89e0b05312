"""A batch of projects: the flow runs that were started for it, as they were last seen, and its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State

from hetzner_cloud.sanitize import printable
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.protection_report import ProjectReport, ProtectionReport

_MIN_PROJECTS = (
    25  # a flow run's start costs as much as protecting the snapshots of so many projects, or more
)
_MAX_PROJECTS = 200  # as many as a flow run works on at once


def automatic_size(projects: int, max_concurrent: int) -> int:
    """Return how many projects have a flow run together, so that those in progress at once end together."""
    rounds = ceil(projects / (_MAX_PROJECTS * max_concurrent))
    return max(_MIN_PROJECTS, ceil(projects / (rounds * max_concurrent)))


@dataclass
class BatchStart:
    """A flow run that was started for a batch, as it was last seen.

    Attributes:
        run: The flow run as it was started.
        started: When that was, by the clock of the fan-out; `seen` is when it last showed progress.
        state: Its last state; None if it was deleted.
        signs: The states and heartbeats that were seen. A new one is progress, whatever time it bears: the
            clocks of other machines decide nothing.
        checked: The final state in which there was no report.
    """

    run: FlowRun
    started: float
    seen: float
    state: State[Any] | None
    signs: set[object] = field(default_factory=set)
    checked: UUID | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.state is None or self.state.is_final()

    @property
    def is_active(self) -> bool:
        """Whether a process should send heartbeats."""
        return self.state is not None and (self.state.is_running() or self.state.is_cancelling())

    def update(self, found: FlowRun | None, heartbeat: object, now: float) -> bool:
        """Take over what was read, None if it was deleted, and return whether it is progress."""
        state = self.state = found.state if found else None
        signs = {state and (state.type if state.is_scheduled() else state.id), heartbeat} - {None}
        if has_progressed := not signs <= self.signs:
            self.seen, self.signs = now, self.signs | signs
        return has_progressed

    def describe(self) -> str:
        """Describe a flow run without a report, in one line."""
        state = f"{self.state.name}: {printable(self.state.message or '-')}" if self.state else "deleted"
        return f"flow run '{self.run.name}' ({self.run.id}) published no report (state: {state})"


@dataclass
class Progress:
    """What is known of all batches together.

    Attributes:
        last: When any of them was last seen to make progress.
        expects_heartbeats: Whether heartbeats arrive at all: they do not through a proxy without WebSockets.
    """

    last: float
    expects_heartbeats: bool = False


@dataclass
class Batch:
    """Some projects that have a flow run together.

    Attributes:
        number: Its place among the batches, from 1 on.
        projects: The names of its projects.
        parameters: Those of its flow run, but for the projects.
        starts: Its flow runs: the last one, and those before it, which may be alive.
        wants_start: Whether a flow run is to be started for it.
        is_warned: Whether it was logged that no worker starts it.
        failing_since: When a request for it first failed; None if the last one did not.
        given_up_because: What it was cancelled for.
        report: What the first of its flow runs to finish published.
        error: Why there is no report and none is waited for.
    """

    number: int
    projects: Sequence[str]
    parameters: Mapping[str, Any]
    starts: list[BatchStart] = field(default_factory=list)
    wants_start: bool = True
    is_warned: bool = False
    failing_since: float | None = None
    given_up_because: str = ""
    report: ProtectionReport | None = None
    error: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is waited for."""
        return self.report is not None or bool(self.error)

    @property
    def project_reports(self) -> list[ProjectReport]:
        """One report for each of its projects."""
        projects = self.report.projects if self.report else ()
        known = {one.project: one.model_copy(update={"clock": self.number}) for one in projects}
        missing = ErrorInfo(code="report_missing", message=self.error or self._left_out)
        return [known.get(name) or ProjectReport(project=name, error=missing) for name in self.projects]

    @property
    def _left_out(self) -> str:
        runs = ", ".join(f"'{start.run.name}' ({start.run.id})" for start in self.starts)
        return f"the report of flow run {runs} leaves it out"
