"""What the tests of runs that remove protection share."""

import re
import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun

from flows.unprotect_snapshots import unprotect_snapshots
from playground.server import PrefectServer
from sandbox import Sandbox
from snapshot_protection.unprotect_report import (
    SnapshotsNotUnprotectedError,
    UnprotectOutcome,
    UnprotectReport,
)
from tests.support.deployed_runs import create_run, execute
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, eventually
from tests.support.shell import from_the_shell

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


async def scheduled_protection(project: str) -> list[FlowRun]:
    """The runs that are scheduled to protect a project."""
    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": ["SCHEDULED"]}}})
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_run_filter=wanted)
    return [run for run in runs if run.parameters.get("projects") == [project]]


def start_from_the_shell(server: PrefectServer, project: str, image_id: int) -> UUID:
    """Start a run from the shell; returns its id, as printed."""
    arguments = ("unprotect", str(image_id), "--project", project, "--reason", REASON, "--hours", "2")
    done = from_the_shell(server, sys.executable, "-m", "cli", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"Started flow run '.+' \((\S+)\)\.", done.stdout)
    assert found, done.stdout
    assert f"{server.ui_url}/runs/flow-run/{found[1]}" in done.stdout
    return UUID(found[1])


async def read_run(run_id: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(run_id)


async def becomes(run_id: UUID, name: str) -> None:
    """Wait until a run has a state; it must not end in another one."""

    async def state() -> str:
        run = await read_run(run_id)
        found, message = state_of(run)
        assert found == name or not (run.state and run.state.is_final()), (found, message)
        return found

    await eventually(state, lambda found: found == name)


def outcomes_of(done: Run) -> Sequence[UnprotectOutcome]:
    """The outcomes that a run reports; none if it ended before its plan."""
    match done.result:
        case UnprotectReport(outcomes=outcomes):
            return outcomes
        case SnapshotsNotUnprotectedError(report=report):
            return report.outcomes
    return ()
