"""A second user's approval: a run suspends with a plan, and continues only with the decision on that plan."""

from collections.abc import Awaitable
from typing import Annotated, Literal, cast

from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field, ValidationError

from hetzner_cloud.sanitize import printable

_TIMEOUT_SECONDS = 24 * 3600


class Approval(RunInput):
    """What is requested of the person who resumes the run; without both fields it cannot be resumed.

    The constraints are in the JSON schema: Prefect runs validators only after the run was resumed.
    """

    decision: Annotated[
        Literal["apply", "reject"],
        Field(title="Decision", description="apply: do what the plan says. reject: end without any change."),
    ]
    approved_by: Annotated[
        str,
        Field(
            title="Decided by",
            min_length=2,
            pattern=r"\S",
            max_length=100,
            description="Your name. Prefect does not check it; reports show it as stated.",
        ),
    ]

    @property
    def stated_name(self) -> str:
        """Who answered, as stated, on one line and never empty: empty means that no approval was required."""
        return printable(self.approved_by) or "a name without visible characters"


async def request_approval(key: str, description: str) -> Approval | None:
    """Suspend the run until it is resumed with an answer under this key, at most 24 hours; return the answer.

    None means that the run suspended with this key before and goes on without an answer: its state was set by
    force. The approval has to be requested under another key.

    Suspending ends the process: Prefect raises `Pause`, which no error handling may catch. The resumed run
    starts from the top, and must call this with the same key to get the answer.

    Args:
        key: Names what is to be approved; an answer given under another key is not found.
        description: Markdown, shown above the form; untrusted text in it must be escaped.
    """
    form = Approval.with_initial_data(description=description)
    suspended = suspend_flow_run(wait_for_input=form, timeout=_TIMEOUT_SECONDS, key=key)
    try:
        return await cast("Awaitable[Approval]", suspended)  # dispatched by the event loop
    except ValidationError:
        return None
