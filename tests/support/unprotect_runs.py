"""What the tests of runs that remove protection share."""

from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun

from flows.unprotect_snapshots import unprotect_snapshots
from sandbox import Sandbox
from tests.support.deployed_runs import create_run, execute
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import eventually

REASON = "moved to the new cluster"
DEPLOYMENT = "with-approval"
ANSWER = {"decision": "apply", "approved_by": "the on-call operator"}


class Project:
    """A saved project, and what its sandbox saw."""

    def __init__(self, name: str, sandbox: Sandbox) -> None:
        self.name = name
        self.sandbox = sandbox
        self.protected = [one for one, image in sandbox.images.items() if image["protection"]["delete"]]

    @property
    def removals(self) -> list[int]:
        """The ids of the snapshots for which a request to remove protection was sent."""
        changes = self.sandbox.calls("change_image_protection")
        return [int(change.path.split("/")[3]) for change in changes]

    @property
    def unprotected(self) -> list[int]:
        return [one for one in self.protected if not self.sandbox.images[one]["protection"]["delete"]]

    async def start(self, image_ids: list[int], **parameters: Any) -> UUID:
        return await create_run(
            unprotect_snapshots,
            DEPLOYMENT,
            **{"project": self.name, "image_ids": image_ids, "reason": REASON, **parameters},
        )


def make_project(make_sandbox: MakeSandbox, save_project: SaveProject) -> Project:
    sandbox = make_sandbox(snapshots=4, protected=4, backups=1)
    name = f"unprotect-{uuid4().hex[:8]}"
    save_project(name, sandbox)
    return Project(name, sandbox)


def state_of(run: FlowRun) -> tuple[str, str]:
    assert run.state
    return run.state.name or "", run.state.message or ""


async def retry(run_id: UUID) -> FlowRun:
    """Retry a run as the UI does."""
    async with get_client() as client:
        await client.request(
            "POST",
            "/flow_runs/{id}/set_state",
            path_params={"id": run_id},
            json={"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": False},
        )
    return await execute(unprotect_snapshots, run_id)


async def state_becomes(run_id: UUID, name: str) -> None:
    async def read() -> str:
        async with get_client() as client:
            return state_of(await client.read_flow_run(run_id))[0]

    await eventually(read, lambda found: found == name)


async def scheduled_protection(project: str) -> list[FlowRun]:
    """The runs that are scheduled to protect a project."""
    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": ["SCHEDULED"]}}})
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_run_filter=wanted)
    return [run for run in runs if run.parameters.get("projects") == [project]]
