"""The approved exemptions of a project: each run that unprotects stores its own, and readers merge them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

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


async def load_exemptions(
    project: str,
    *,
    also: Sequence[str] = (),
    expired_days: float = 0,
    now: datetime | None = None,
    any_length: bool = False,
) -> dict[int, Exemption]:
    """Load a project's exemptions: those that hold, and those that may have expired since.

    Each run stores only its own, so two runs at once never erase each other's.

    Args:
        project: The project.
        also: Names that may be the same project, by another token: what is stored under those holds, too. A
            version of theirs that is not readable is left out: it is an error of the project of that name.
        expired_days: How long ago those that have expired may have done so, at least.
        now: In UTC; by default the time.
        any_length: Also those that last longer than one may: recorded by a clock that was ahead, they are
            none for what protects, and all the same keep a snapshot from being deleted.

    Raises:
        UnreadableExemptionsError: A version is not readable; no snapshot may be taken for exempt, or for not.
    """
    now = now or datetime.now(UTC)
    oldest = now - _MAX_AGE - timedelta(days=expired_days)
    names = {_key(name): name for name in (*also, project)}
    versions = await _read_versions(list(names), oldest)
    records = [_parse(project, version) for version in versions if version.key == _key(project)]
    others = [_load(names[str(each.key)], each) for each in versions if each.key != _key(project)]
    every = [*records, *(record for record in others if record)]
    return merge(every) if any_length else merge(every, latest=now + _MAX_AGE)


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


def _parse(project: str, version: Artifact) -> ExemptionRecord:
    record = _load(project, version)
    if record is None:
        raise UnreadableExemptionsError(
            f"The artifact {_key(project)} has a version that cannot be read ({version.id}). Delete it "
            f"with `prefect artifact delete --id {version.id}`; the snapshots that it exempts are then "
            "protected again.",
            UNREADABLE,
        )
    return record


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
