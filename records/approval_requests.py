"""What a flow run requests approval for: stored before it suspends, read when it was resumed."""

from collections.abc import Callable
from typing import Protocol, TypeVar
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort


class Requested(Protocol):
    """What is needed of a request for approval."""

    @property
    def attempt(self) -> int: ...
    def dump(self) -> str: ...


T = TypeVar("T")


async def load_request(key: str, flow_run_id: UUID, parse: Callable[[str], T | None]) -> T | None:
    """Load the last request of this flow run; None before the first one.

    Args:
        key: The artifact's key.
        flow_run_id: The flow run, which starts from the top each time it is resumed.
        parse: Extracts the request from the page; None if there is nothing that can be read.
    """
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[key]), flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id])
    )
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)
    return parse(str(found[0].data)) if found else None


async def save_request(key: str, request: Requested, page: str) -> None:
    """Store a request as the newest of this flow run, on a page that shows it."""
    description = f"The plan to approve, attempt {request.attempt}."
    await acreate_markdown_artifact(f"{page}\n\n{request.dump()}\n", key=key, description=description)


async def has_suspended(key: str, flow_run_id: UUID) -> bool:
    """Return whether this flow run has suspended with a key, and was resumed since.

    Prefect forgets the keys of a run that is retried. A key must not be used twice: a server of 3.8 responds
    with 409 to a second form under one key, and the answer to the first would be there already.
    """
    async with get_client() as client:
        run = await client.read_flow_run(flow_run_id)
    return key in (run.empirical_policy.pause_keys or ())
