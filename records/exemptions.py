"""The approved exemptions of a project: each run that unprotects stores its own, and readers merge them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort

from hetzner_cloud.errors import HetznerCloudError
from records.record_versions import add_version
from snapshot_protection.exemptions import MAX_HOURS, Exemption, ExemptionRecord, merge
from snapshot_protection.markdown import escape_markdown

UNREADABLE = "unreadable_exemptions"
_PAGE = 100
_CLOCK_TOLERANCE = timedelta(hours=24)
_MAX_AGE = timedelta(hours=MAX_HOURS) + _CLOCK_TOLERANCE


class UnreadableExemptionsError(HetznerCloudError):
    """The exemptions of a project cannot be read, so which snapshots are exempt is unknown."""


@dataclass(frozen=True)
class StoredExemptions:
    """What runs have stored under some names.

    Attributes:
        versions: By name, each version of its artifact by id; None if it is not readable.
    """

    versions: Mapping[str, Mapping[UUID, ExemptionRecord | None]]

    def of(self, project: str, *, latest: datetime | None = None) -> dict[int, Exemption]:
        """Return a project's exemptions: what is stored under the other names holds, too.

        A version of another name that is not readable is left out: it is an error of that name's project.

        Args:
            project: The project.
            latest: An exemption that lasts longer is none.

        Raises:
            UnreadableExemptionsError: One of its own is not readable.
        """
        for artifact_id, record in self.versions.get(project, {}).items():
            if record is None:
                raise _unreadable(project, artifact_id)
        records = (record for versions in self.versions.values() for record in versions.values() if record)
        return merge(records) if latest is None else merge(records, latest=latest)

    def under(self, name: str) -> Self:
        """Return what is stored under one of the names."""
        return replace(self, versions={name: self.versions.get(name, {})})


async def read_exemptions(
    names: Collection[str], *, now: datetime, expired_days: float = 0
) -> StoredExemptions:
    """Read what is stored under names: what holds, and what may have expired since.

    Each run stores only its own, so two runs at once never erase each other's.

    Args:
        names: Names of projects, which may be one, by several tokens.
        now: In UTC.
        expired_days: How long ago those that have expired may have done so, at least.
    """
    oldest = now - _MAX_AGE - timedelta(days=expired_days)
    by_key = {_key(name): name for name in names}
    versions: dict[str, dict[UUID, ExemptionRecord | None]] = {}
    for version in await _read_versions(list(by_key), oldest):
        name = by_key[str(version.key)]
        versions.setdefault(name, {})[version.id] = _load(name, version)
    return StoredExemptions(versions)


def latest_end(now: datetime) -> datetime:
    """Return when an exemption can end at the latest: a longer one was recorded by a clock that was ahead."""
    return now + _MAX_AGE


async def save_exemptions(record: ExemptionRecord) -> None:
    """Store the exemptions of this run, or which of them it withdraws, as a new version of the artifact."""
    approved = _section("Approved by one run:", record.exemptions)
    withdrawn = _section("Withdrawn by one run, whose snapshots stayed protected:", record.withdrawn)
    async with get_client() as client:
        await add_version(
            client,
            _key(record.project),
            f"{approved}{withdrawn}{record.dump()}\n",
            description=f"Which snapshots of {record.project} may be unprotected until when.",
        )


def _section(title: str, exemptions: Sequence[Exemption]) -> str:
    lines = "\n".join(f"* Snapshot {one.image_id} {escape_markdown(str(one))}" for one in exemptions)
    return f"{title}\n\n{lines}\n\n" if exemptions else ""


def _key(project: str) -> str:
    return f"snapshot-exemptions-{project}"


def _unreadable(project: str, artifact_id: UUID) -> UnreadableExemptionsError:
    return UnreadableExemptionsError(
        f"The artifact {_key(project)} has a version that cannot be read ({artifact_id}). Delete it "
        f"with `prefect artifact delete --id {artifact_id}`; the snapshots that it exempts are then "
        "protected again.",
        UNREADABLE,
    )


def _load(project: str, version: Artifact) -> ExemptionRecord | None:
    record = ExemptionRecord.load(str(version.data))
    return record if record and record.project == project else None


async def _read_versions(keys: list[str], oldest: datetime) -> list[Artifact]:
    """Read the versions of artifacts from the newest to the first that is older."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=keys))
    found: list[Artifact] = []
    async with get_client() as client:
        while True:
            page = await client.read_artifacts(
                artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=_PAGE, offset=len(found)
            )
            found += page
            if len(page) < _PAGE or (page[-1].created and page[-1].created < oldest):
                return [one for one in found if one.created is None or one.created >= oldest]
