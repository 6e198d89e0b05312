"""What the tests of prune runs share: a project with candidates, and what its sandbox saw."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate

from blocks.snapshot_policy import SnapshotPolicy
from flows.prune_snapshots import prune_snapshots
from sandbox import Sandbox
from snapshot_protection.policy import Keep, Rule
from snapshot_protection.prune_outcomes import PruneOutcome
from snapshot_protection.prune_report import PruneReport, SnapshotsNotPrunedError
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.quarantine_format import dump_quarantine, quarantine_key
from tests.support.deployed_runs import create_run
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, run

KEEP_ONE = Keep(last=1, within_days=0, daily=0, weekly=0, monthly=0)
DEPLOYMENT = "on-demand"
WRITES = {"POST", "PUT", "DELETE"}


class PruneProject:
    """A saved project in which a policy keeps only the newest snapshot of each server.

    Attributes:
        candidates: The ids of what is not kept, the oldest first.
        newest: The id of what is.
    """

    def __init__(self, name: str, sandbox: Sandbox, ids: Sequence[int]) -> None:
        self.name = name
        self.policy = name
        self.sandbox = sandbox
        self.candidates, self.newest = list(ids[:-1]), ids[-1]

    @property
    def writes(self) -> list[str]:
        """The requests that are to change something."""
        return [f"{one.method} {one.path}" for one in self.sandbox.requests if one.method in WRITES]

    @property
    def deletions(self) -> list[int]:
        """The ids of the images for which a deletion was requested."""
        return [int(one.path.split("/")[3]) for one in self.sandbox.calls("delete_image")]

    @property
    def unprotected(self) -> list[int]:
        """The ids of the snapshots that exist and are not protected."""
        images = self.sandbox.images.items()
        return [image_id for image_id, image in images if not image["protection"]["delete"]]

    @property
    def left(self) -> list[int]:
        """The ids of the snapshots that exist."""
        return sorted(self.sandbox.images)

    async def save_policy(self, *rules: Rule) -> None:
        """Save its policy under the project's own name."""
        await SnapshotPolicy(rules=list(rules)).asave(self.policy, overwrite=True)

    async def prune(self, **parameters: Any) -> Run:
        """Run the flow as from a shell, to apply what is due."""
        return await run(prune_snapshots, **self._parameters(dry_run=False, approval=False, **parameters))

    async def look(self, **parameters: Any) -> Run:
        """Run it dry."""
        return await run(prune_snapshots, **self._parameters(**parameters))

    async def start(self, **parameters: Any) -> UUID:
        """Create a run of the deployment."""
        parameters = self._parameters(dry_run=False, **parameters)
        return await create_run(prune_snapshots, DEPLOYMENT, **parameters)

    async def age(self, days: float = 8) -> None:
        """Store what runs would have stored if all had been candidates for days, until now."""
        now = datetime.now(UTC)
        quarantine = Quarantine(
            self.name, self.policy, now, dict.fromkeys(self.candidates, now - timedelta(days=days))
        )
        key = quarantine_key(self.name, self.policy)
        created = ArtifactCreate(type="markdown", key=key, data=dump_quarantine(quarantine))
        async with get_client() as client:
            await client.create_artifact(created)

    def _parameters(self, **parameters: Any) -> dict[str, Any]:
        return {"projects": [self.name], "policy": self.policy, **parameters}


async def make_prune_project(
    make_sandbox: MakeSandbox, save_project: SaveProject, *, candidates: int = 2, **settings: Any
) -> PruneProject:
    """Make a project with so many candidates and one kept snapshot, all protected, of one server."""
    sandbox = make_sandbox(snapshots=0, **settings)
    ids = [
        sandbox.add_snapshot(
            created=(datetime.now(UTC) - timedelta(days=40 - number)).isoformat(),
            created_from={"id": 40_000_001, "name": "db-1"},
            description=f"nightly {number}",
            protection={"delete": True, "rebuild": False},
        )
        for number in range(candidates + 1)
    ]
    project = PruneProject(f"prune-{uuid4().hex[:8]}", sandbox, ids)
    save_project(project.name, sandbox)
    await project.save_policy(Rule(name="nightly", prune=True, keep=KEEP_ONE))
    return project


def prune_report_of(done: Run) -> PruneReport:
    """The report of a run, whether it succeeded or not."""
    if isinstance(done.result, SnapshotsNotPrunedError):
        return done.result.report
    assert isinstance(done.result, PruneReport), (done.state.message, done.result)
    return done.result


def prune_outcomes_of(done: Run) -> dict[int, str]:
    """The outcome of each snapshot."""
    return {one.image_id: one.outcome for one in prune_report_of(done).outcomes}


def outcome_for(done: Run, image_id: int) -> PruneOutcome:
    """The whole outcome of one snapshot."""
    return next(one for one in prune_report_of(done).outcomes if one.image_id == image_id)
