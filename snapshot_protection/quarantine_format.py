"""How a quarantine is stored: as JSON, embedded into a page; what is read is bounded and validated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hetzner_cloud.models import MAX_ID
from snapshot_protection.audit_baseline_format import StoredPage
from snapshot_protection.embedding import embed, extract
from snapshot_protection.quarantine import (
    MAX_SNAPSHOTS,
    Quarantine,
    begin,
    merge_quarantines,
    observe,
    restart_reason,
)

_NAME = "prune-quarantine"
_MAX_BYTES = 16 * 1024 * 1024  # 10,000 candidates are less than 1 MiB
_MAX_FOLDED = 100

_Seconds = Annotated[float, Field(ge=0, le=4_102_444_800)]  # since 1970; the limit is the year 2100
_Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class _Stored(BaseModel):
    """The format.

    Attributes:
        ids: Sorted; each is less the one before: small numbers compress well.
        since: For each id.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, extra="forbid")

    version: Literal[1] = 1
    project: str
    policy: str
    observed: _Seconds
    ids: Annotated[list[_Id], Field(max_length=MAX_SNAPSHOTS)]
    since: Annotated[list[_Seconds], Field(max_length=MAX_SNAPSHOTS)]
    folded: Annotated[list[Annotated[str, Field(max_length=36)]], Field(max_length=_MAX_FOLDED)]

    def load(self) -> Quarantine:
        if sum(self.ids) > MAX_ID:
            raise ValueError("an id is too large")
        since = zip(accumulate(self.ids), map(_time, self.since), strict=True)
        return Quarantine(
            self.project, self.policy, _time(self.observed), dict(since), frozenset(self.folded)
        )


@dataclass(frozen=True)
class QuarantineHistory:
    """What earlier runs have stored.

    Attributes:
        quarantine: What a run goes on with; None: there is none, or it is lost, and it restarts.
        versions: The ids of all stored versions that were found: the next one has folded them.
        unreadable: How many of them could not be read, and no later one stands in for.
        is_whole: Whether older versions than these cannot know more.
    """

    quarantine: Quarantine | None = None
    versions: frozenset[str] = frozenset()
    unreadable: int = 0
    is_whole: bool = True

    def observe(self, project: str, policy: str, candidates: Iterable[int], now: datetime) -> Quarantine:
        """Record which snapshots of a project that was read as a whole are candidates now."""
        known = self.quarantine
        found = observe(known, candidates, now) if known else begin(project, policy, candidates, now)
        return replace(found, folded=self.versions)

    def restart_reason(self, now: datetime) -> str:
        """Return why an observation at this time restarts the quarantine; empty if it does not."""
        if self.quarantine:
            return restart_reason(self.quarantine, now)
        return "what earlier runs stored cannot be read" if self.versions else "there is no earlier run"


def quarantine_key(project: str, policy: str) -> str:
    """Make the key under which the versions of a quarantine are stored.

    Both names have only lowercase letters, digits and dashes, so the policy's length tells them apart.
    """
    return f"snapshot-quarantine-{len(policy)}-{policy}-{project}"


def dump_quarantine(quarantine: Quarantine) -> str:
    """Embed a quarantine into an HTML comment, which a rendered page does not show.

    Raises:
        ValueError: It is larger than what is ever read.
    """
    ids = sorted(quarantine.since)
    stored = _Stored(
        project=quarantine.project,
        policy=quarantine.policy,
        observed=quarantine.observed.timestamp(),
        ids=[later - earlier for earlier, later in pairwise([0, *ids])],
        since=[quarantine.since[image_id].timestamp() for image_id in ids],
        folded=sorted(quarantine.folded),
    )
    return embed(_NAME, stored.model_dump_json(), max_bytes=_MAX_BYTES)


def load_quarantine(page: str, project: str, policy: str) -> Quarantine | None:
    """Load what `dump_quarantine` has embedded into a page.

    Returns:
        None if nothing in it can be read, or if it is that of another project or policy.
    """
    try:
        stored = _Stored.model_validate_json(extract(_NAME, page, max_bytes=_MAX_BYTES) or "").load()
    except ValueError:
        return None
    return stored if (stored.project, stored.policy) == (project, policy) else None


def read_quarantine(pages: Sequence[StoredPage], project: str, policy: str) -> QuarantineHistory:
    """Read the stored versions, the last written first; one that is known to a readable one is not parsed.

    One that cannot be read, and that no later one knows, could be the most cautious: then all of it is lost.
    """
    readable: dict[str, Quarantine] = {}
    known: set[str] = set()
    for found in pages:
        if found.id not in known and (quarantine := load_quarantine(found.page, project, policy)):
            readable[found.id] = quarantine
            known |= quarantine.folded
    heads = [quarantine for version, quarantine in readable.items() if version not in known]
    versions = frozenset(found.id for found in pages)
    unreadable = len(versions - known - readable.keys())
    return QuarantineHistory(
        quarantine=merge_quarantines(*heads) if heads and not unreadable else None,
        versions=versions,
        unreadable=unreadable,
        is_whole=not pages or pages[-1].id in known,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
