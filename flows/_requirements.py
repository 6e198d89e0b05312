"""What a protection run requires: one policy, and the exemptions as they are when they are read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

from prefect.runtime import flow_run

from blocks.projects import Project
from blocks.snapshot_policy import load_policy
from flows._shared_read import SharedRead
from hetzner_cloud.config import normalize_endpoint
from hetzner_cloud.errors import HetznerCloudError
from records.exemptions import (
    UNREADABLE,
    StoredExemptions,
    UnreadableExemptionsError,
    latest_end,
    read_exemptions,
)
from records.prefect_errors import describe_prefect_error
from snapshot_protection.exemptions import unexpired
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.requirements import Requirements


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def now_or_due() -> datetime:
    """Return the time, but none before this run was due: a worker's clock may be behind the Prefect server's.

    What protects snapshots again is due when their exemptions have expired, and runs once.
    """
    due: datetime = flow_run.scheduled_start_time
    return max(now_utc(), due)


@dataclass(frozen=True)
class RunRequirements:
    """The requirements of all projects of a run.

    Attributes:
        policy: The run's policy, loaded once.
        names: By endpoint, the projects of the run: two of them may be one, by two tokens, and an exemption
            under either name holds for its snapshot.
        also: Names of which it is not known whether they are the same project: of a snapshot that is exempt
            under one of them, it is assumed.
        clock: Tells the time, in UTC.
        any_exemption: Whether one that lasts longer than it may is one, too: in a run that deletes, it keeps.
    """

    policy: NamedPolicy = field(default_factory=NamedPolicy)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    also: Sequence[str] = ()
    clock: Callable[[], datetime] = now_or_due
    any_exemption: bool = False
    _reads: dict[frozenset[str], SharedRead[StoredExemptions]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @classmethod
    def of(cls, policy: NamedPolicy, projects: Iterable[Project], also: Sequence[str] = ()) -> Self:
        """Make the requirements of a run that covers these projects."""
        names: dict[str, list[str]] = {}
        for project in projects:
            if project.credentials:
                names.setdefault(normalize_endpoint(project.credentials.endpoint), []).append(project.name)
        return cls(policy, names, also)

    async def read(self, project: str, endpoint: str) -> Requirements:
        """Read a project's exemptions.

        Raises:
            UnreadableExemptionsError: They cannot be read; no snapshot may be taken for exempt, or for not.
        """
        stored = await self._read_stored(frozenset({project, *self.names.get(endpoint, ()), *self.also}))
        now = self.clock()
        found = stored.of(project, latest=None if self.any_exemption else latest_end(now))
        return Requirements(project, self.policy.policy, unexpired(found, now))

    async def read_again(self, project: str, endpoint: str) -> Requirements:
        """Read a project's exemptions, and the policy as it is saved now.

        Raises:
            UnreadableExemptionsError: As above.
            InvalidArgumentError: The policy was deleted, or can no longer be used.
        """
        policy = await load_policy(self.policy.name)
        return await replace(self, policy=policy).read(project, endpoint)

    def without_exemptions(self, project: str) -> Requirements:
        """Return what is required where no snapshot is unprotected, so that none can be exempt."""
        return Requirements(project, self.policy.policy)

    async def _read_stored(self, names: frozenset[str]) -> StoredExemptions:
        """Read what is stored under all these names, once for all projects that ask at the same time."""
        shared = self._reads.setdefault(names, SharedRead(lambda: read_exemptions(names, now=self.clock())))
        try:
            return await shared()
        except HetznerCloudError:
            raise
        except Exception as error:
            raise UnreadableExemptionsError(
                f"The exemptions could not be read: {describe_prefect_error(error)}", UNREADABLE
            ) from error
