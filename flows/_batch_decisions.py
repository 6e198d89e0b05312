"""What to do about a batch: wait, start it again, or give it up. Pure functions of what was seen of it."""

from dataclasses import dataclass
from typing import Literal

from prefect.client.schemas.objects import StateType

from snapshot_protection.wording import pluralize

Decision = Literal["wait", "start again", "give up"]

MAX_WAITS = 3  # of a project for its actions, one in each round
_HOUR = 3600.0
_LIMIT_ADVICE = "The sum of the workers' limits must be greater than the number of fan-out runs in progress"


@dataclass(frozen=True)
class Patience:
    """For how many seconds a batch may go without progress before something is done about it.

    Only time in which the Prefect API responds counts, for all but `total_seconds`.

    Attributes:
        warn_seconds: No worker takes it or starts it: the log says which work pool waits for what.
        start_seconds: Pending: a worker has taken it and does not start it. It may be pulling an image.
        silent_seconds: Running without a heartbeat, of which there should have been four.
        work_seconds: What nothing shows to be in progress: it waits for a worker while no other batch makes
            progress, or no heartbeats are to be expected, or it is the last start.
        total_seconds: Since its start, even if it lives; and how long the Prefect API may be unreachable.
    """

    work_seconds: float
    total_seconds: float
    warn_seconds: float = 120.0
    start_seconds: float = 300.0
    silent_seconds: float = 120.0

    @classmethod
    def for_timeout(cls, timeout_seconds: float) -> "Patience":
        """Derive the patience from how long each round of a project may wait for its actions.

        A run that lives gets a day on top: at Hetzner's 3,600 requests an hour that is 80,000 changes of a
        project.
        """
        waits = MAX_WAITS * timeout_seconds
        return cls(work_seconds=waits + _HOUR, total_seconds=waits + 24 * _HOUR)


@dataclass(frozen=True)
class RunStatus:
    """What is seen of a batch's flow run that has left no report.

    Attributes:
        state: The type of its state; None if the flow run was deleted.
        silent_seconds: Since its last state change or heartbeat was seen.
        idle_seconds: Since any batch was last seen to make progress.
        age_seconds: Since it was started.
        expects_heartbeats: Whether heartbeats of this fan-out arrive, so that their absence means something.
    """

    state: StateType | None
    silent_seconds: float = 0.0
    idle_seconds: float = 0.0
    age_seconds: float = 0.0
    expects_heartbeats: bool = True


def decide(run: RunStatus, patience: Patience, *, is_last_start: bool) -> Decision:
    """Decide what to do about a batch's flow run that has left no report.

    A run that lives and is taken for dead does no harm: protection changes only what is not protected yet,
    and the first report of any of a batch's runs is taken.
    """
    if run.state is StateType.CANCELLED:
        return "give up"
    if run.state in {None, StateType.CRASHED, StateType.FAILED, StateType.COMPLETED}:
        return "give up" if is_last_start else "start again"
    if run.age_seconds > patience.total_seconds:
        return "give up"
    if run.state is StateType.SCHEDULED:
        return "give up" if run.idle_seconds > patience.work_seconds else "wait"
    if not is_last_start and run.silent_seconds > _restart_seconds(run, patience):
        return "start again"
    return "give up" if run.silent_seconds > patience.work_seconds else "wait"


def _restart_seconds(run: RunStatus, patience: Patience) -> float:
    if run.state is StateType.PENDING:
        return patience.start_seconds
    if run.state is StateType.RUNNING:
        return patience.silent_seconds if run.expects_heartbeats else patience.work_seconds
    return float("inf")  # Cancelling, by someone else: it is not started again


def waits_too_long(run: RunStatus, patience: Patience) -> bool:
    """Return whether to warn that no worker takes a batch's flow run, or starts it."""
    is_waiting = run.state in {StateType.SCHEDULED, StateType.PENDING}
    return is_waiting and run.silent_seconds > patience.warn_seconds


def describe_wait(pool: str, queue: str, *, online: int, is_paused: bool) -> str:
    """Describe what a flow run waits for in its work pool, and what to do about it."""
    text = f"work pool '{pool}', work queue '{queue}': "
    if is_paused:
        return f"{text}paused; resume it in the UI"
    if not online:
        return f"{text}no worker is online; start one: `prefect worker start --pool {pool} --limit 5`"
    return f"{text}{pluralize(online, 'worker')} online, perhaps at the limit. {_LIMIT_ADVICE}"
