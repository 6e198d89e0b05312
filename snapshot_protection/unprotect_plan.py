"""What a run that removes protection plans, and what it requests approval for. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.embedding import embed, extract
from snapshot_protection.wording import first_ones, pluralize

PlannedChange = Literal["unprotect", "already_unprotected", "deleted", "rejected"]

MAX_ATTEMPTS = 3
APPROVAL_HOURS = 48
_GOOD_FOR = timedelta(hours=APPROVAL_HOURS)
_NAMED_IN_MESSAGE = 5
_NAME = "unprotect-approval"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedSnapshot(_Record):
    """What is planned for one id.

    Attributes:
        note: Why it is rejected; empty otherwise.
        server: The name of the server it was created from, empty if that is not known.
        size: The stored size, GB; None if that is not known.
    """

    image_id: int
    change: PlannedChange
    note: str = ""
    description: str = ""
    server: str = ""
    created: datetime | None = None
    size: float | None = None

    @property
    def is_exempted(self) -> bool:
        """Whether it is unprotected when the plan was applied, and must be exempt until it expires."""
        return self.change in {"unprotect", "already_unprotected"}


class UnprotectPlan(_Record):
    """What is planned for each id of one project; nothing in it depends on the time at which it was made."""

    project: str
    reason: str
    hours: float
    snapshots: tuple[PlannedSnapshot, ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of the plan, in hexadecimal: what is approved is approved under this."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode("utf-8", "backslashreplace")).hexdigest()

    @property
    def rejected(self) -> list[PlannedSnapshot]:
        """What protection cannot be removed from."""
        return [one for one in self.snapshots if one.change == "rejected"]

    @property
    def exempted(self) -> list[PlannedSnapshot]:
        """What will be unprotected, and needs an exemption."""
        return [one for one in self.snapshots if one.is_exempted]

    @property
    def summary(self) -> str:
        """One line: how many ids have which change."""
        changes = [one.change for one in self.snapshots]
        counts = {change: changes.count(change) for change in dict.fromkeys(changes)}
        return ", ".join(f"{number} {change.replace('_', ' ')}" for change, number in counts.items())


class ApprovalRequest(_Record):
    """What a run stores before it suspends, and reads when it was resumed.

    Attributes:
        attempt: From 1; the plan changed before each further one.
        key: The answer is found under this key only.
        differences: What changed in the plan since the last attempt.
        used: Whether the answer was read and acted on; an approval is good for one try.
        requested: When approval was requested; None if none was.
    """

    plan: UnprotectPlan
    attempt: int
    key: str
    differences: tuple[str, ...] = ()
    used: bool = False
    requested: AwareDatetime | None = None

    def is_late(self, now: datetime) -> bool:
        """Return whether it was requested so long ago that an answer to it is none any more."""
        return self.requested is not None and now - self.requested > _GOOD_FOR

    def dump(self) -> str:
        """Embed it into an HTML comment, which a rendered page does not show."""
        return embed(_NAME, self.model_dump_json())

    @classmethod
    def load(cls, page: str) -> "ApprovalRequest | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        stored = extract(_NAME, page)
        try:
            return cls.model_validate_json(stored) if stored is not None else None
        except ValidationError:
            return None


def make_plan(
    project: str, image_ids: Sequence[int], found: Mapping[int, Image], *, reason: str, hours: float
) -> UnprotectPlan:
    """Plan for each id, in their order; one that is not among the images found is deleted."""
    snapshots = (_plan(image_id, found.get(image_id)) for image_id in dict.fromkeys(image_ids))
    return UnprotectPlan(project=project, reason=reason, hours=hours, snapshots=tuple(snapshots))


def describe_differences(earlier: UnprotectPlan, now: UnprotectPlan) -> list[str]:
    """Describe what changed between two plans: none if they are the same, a line for each snapshot.

    The terms and the ids are the run's parameters, which can be changed while it waits for approval.
    """
    before = {one.image_id: one for one in earlier.snapshots}
    after = {one.image_id: one for one in now.snapshots}
    changed = [_difference(before.get(image_id), one) for image_id, one in after.items()]
    dropped = [f"snapshot {image_id}: removed from the plan" for image_id in before if image_id not in after]
    found = [*_changed_terms(earlier, now), *filter(None, changed), *dropped]
    return found if found or earlier == now else ["the snapshots are in another order"]


def list_rejections(snapshots: Iterable[PlannedSnapshot]) -> str:
    """Describe why protection cannot be removed, for an error, of the first few."""
    rejected = [f"image {one.image_id} {one.note}" for one in snapshots]
    return "; ".join(first_ones(rejected, _NAMED_IN_MESSAGE))


def describe_request(plan: UnprotectPlan) -> str:
    """Describe in one line what is to be approved."""
    count = pluralize(len(plan.snapshots), "snapshot")
    return f"Remove protection from {count} of {plan.project} for {plan.hours:g} hours: {plan.summary}"


def _plan(image_id: int, image: Image | None) -> PlannedSnapshot:
    if image is None or image.deleted:
        return PlannedSnapshot(image_id=image_id, change="deleted")
    change, note = _change(image)
    return PlannedSnapshot(
        image_id=image_id,
        change=change,
        note=note,
        description=printable(image.description),
        server=printable(image.created_from.name) if image.created_from else "",
        created=image.created,
        size=image.image_size,
    )


def _change(image: Image) -> tuple[PlannedChange, str]:
    if not image.is_snapshot:
        return "rejected", f"is not a snapshot, but of the type {printable(image.type)}"
    if image.status == "creating":
        return "rejected", "is still being created; run again when it is available"
    return ("unprotect" if image.is_protected else "already_unprotected"), ""


def _changed_terms(earlier: UnprotectPlan, now: UnprotectPlan) -> list[str]:
    terms = {
        "project": (earlier.project, now.project),
        "reason": (f"'{earlier.reason}'", f"'{now.reason}'"),
        "hours": (f"{earlier.hours:.15g}", f"{now.hours:.15g}"),
    }
    return [f"{name}: {before} → {after}" for name, (before, after) in terms.items() if before != after]


def _difference(before: PlannedSnapshot | None, now: PlannedSnapshot) -> str:
    """Describe how a snapshot differs; empty if it does not."""
    if before == now:
        return ""
    if before is None:
        return f"snapshot {now.image_id}: added, {now.change.replace('_', ' ')}"
    if before.change != now.change:
        return f"snapshot {now.image_id}: {before.change.replace('_', ' ')} → {now.change.replace('_', ' ')}"
    changed = [name for name in type(now).model_fields if getattr(before, name) != getattr(now, name)]
    return f"snapshot {now.image_id}: other {', '.join(changed)}"
