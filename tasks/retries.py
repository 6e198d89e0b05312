"""The retry policy of `hetzner_cloud.retry` as a Prefect task has it, so that retries show in the UI."""

from typing import Any, TypedDict

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.retry import RetryPolicy, is_transient
from hetzner_cloud.settings import Settings


def _policy() -> RetryPolicy:
    """Take the policy from the environment; a variable that is invalid is rejected by each run, not here."""
    try:
        return RetryPolicy.from_settings(Settings.from_environment())
    except InvalidArgumentError:
        return RetryPolicy()


RETRY_POLICY = _policy()


def is_transient_state(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell Prefect whether to try again; a plain function that reads `data`: others silently never retry."""
    return isinstance(state.data, BaseException) and is_transient(state.data)


class Retry(TypedDict):
    """The arguments of `@task` that are about retries."""

    retries: int
    retry_delay_seconds: list[float]
    retry_jitter_factor: float
    retry_condition_fn: Any


# The pause is drawn between 0 and about twice the given one: given half the bound, full jitter. Prefect fixes
# these delays when a task is made: a longer one that a Retry-After asks for is the throttle's.
RETRY_TRANSIENT: Retry = {
    "retries": RETRY_POLICY.retries,
    "retry_delay_seconds": [max_delay / 2 for max_delay in RETRY_POLICY.max_delays()],
    "retry_jitter_factor": 1.0,
    "retry_condition_fn": is_transient_state,
}
