"""Flow runs that were interrupted or never started, e.g. by a reboot: what an audit reports of them, pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from hetzner_cloud.sanitize import printable
from snapshot_protection.markdown import escape_markdown
from snapshot_protection.wording import pluralize

SILENT_AFTER_SECONDS = 90  # three heartbeats; docs/automations/zombie-runs.yaml waits longer
CLOCKS_DIFFER = timedelta(hours=1)  # between machines, at most
_NAMED_IN_MESSAGE = 5
_NAMED_IN_SUMMARY = 20
_WITHOUT = f"without a heartbeat or state change in the last {SILENT_AFTER_SECONDS} s"
_ADVICE = (
    "Cancel these flow runs in the UI unless they are still in progress, and start again what is needed; "
    "protected snapshots are skipped."
)


class UnfinishedRun(BaseModel):
    """A flow run that is recorded as not finished.

    Attributes:
        state: The name of its state: Running, Pending, Submitting, Cancelling, ...
        since: When it entered this state.
        started: Whether it was started: then it should have heartbeats.
        last_heartbeat: None if none was seen.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    state: str
    since: datetime
    started: bool
    last_heartbeat: datetime | None = None


class InterruptedRuns(BaseModel):
    """The unfinished flow runs that show neither a heartbeat nor a state change.

    Attributes:
        runs: The flow runs, the newest first.
        is_complete: Whether these are all; there is a limit to how many are looked through.
        error: Why the check failed; empty if it did not.
    """

    model_config = ConfigDict(frozen=True)

    runs: tuple[UnfinishedRun, ...] = ()
    is_complete: bool = True
    error: str = ""


def select_silent(runs: Iterable[UnfinishedRun], *, now: datetime) -> list[UnfinishedRun]:
    """Select the flow runs without a heartbeat or state change in the last 90 seconds.

    One more than an hour ahead is of a clock that was wrong, and no sign of life.
    """
    earliest, latest = now - timedelta(seconds=SILENT_AFTER_SECONDS), now + CLOCKS_DIFFER
    return [
        run
        for run in runs
        if not any(earliest < moment <= latest for moment in (run.since, run.last_heartbeat) if moment)
    ]


def describe_run(run: UnfinishedRun) -> str:
    """Describe what was seen of a flow run, in one line, and no more than that."""
    since = run.since.astimezone(UTC)
    text = f"flow run '{printable(run.name)}' ({run.id}): {run.state} since {since:%Y-%m-%d %H:%M} UTC"
    if run.last_heartbeat is None:
        return f"{text}, no heartbeat seen" if run.started else text
    last = run.last_heartbeat.astimezone(UTC)
    day = "" if last.date() == since.date() else f"{last:%Y-%m-%d} "
    return f"{text}, last heartbeat {day}{last:%H:%M} UTC"


def message_parts(interrupted: InterruptedRuns) -> list[str]:
    """Make the parts of a final state's message: the first five are named; nothing if there are none."""
    if interrupted.error:
        return [_failure(interrupted)]
    if not interrupted.runs:
        return []
    first, *others = [describe_run(run) for run in interrupted.runs[:_NAMED_IN_MESSAGE]]
    more = len(interrupted.runs) - _NAMED_IN_MESSAGE
    return [f"{_headline(interrupted)}: {first}", *others, *([f"and {more} more"] if more > 0 else [])]


def summary_lines(interrupted: InterruptedRuns) -> list[str]:
    """Make a section of a Markdown summary: the first twenty are named; nothing if there are none."""
    if interrupted.error:
        lines = [f"- 🟡 {escape_markdown(_failure(interrupted))}"]
    else:
        named = interrupted.runs[:_NAMED_IN_SUMMARY]
        lines = [f"- 🟡 {escape_markdown(describe_run(run), max_length=600)}" for run in named]
    if not lines:
        return []
    if (more := len(interrupted.runs) - _NAMED_IN_SUMMARY) > 0:
        lines.append(f"- and {more} more, see the page Runs")
    headline = [f"{_headline(interrupted)}:", ""] if interrupted.runs else []
    return ["", "### Flow runs that may be interrupted", "", *headline, *lines]


def log_lines(interrupted: InterruptedRuns) -> list[str]:
    """Make the lines of a log, one for each flow run; nothing if there are none."""
    if interrupted.error:
        return [f"The check for interrupted flow runs failed: {interrupted.error}"]
    return [f"May be interrupted, or never started: {describe_run(run)}" for run in interrupted.runs]


def next_steps(interrupted: InterruptedRuns) -> list[str]:
    """Return what to do about them, nothing if there is nothing to do."""
    return [_ADVICE] if interrupted.runs else []


def _headline(interrupted: InterruptedRuns) -> str:
    least = "" if interrupted.is_complete else "at least "
    return f"{least}{pluralize(len(interrupted.runs), 'flow run')} {_WITHOUT}"


def _failure(interrupted: InterruptedRuns) -> str:
    return f"the check for interrupted flow runs failed: {interrupted.error}"
