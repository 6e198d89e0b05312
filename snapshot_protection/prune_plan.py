"""What a prune run plans to delete, and what it requests approval for. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.embedding import embed, extract
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.retention import Retention
from snapshot_protection.wording import pluralize

_NAME = "prune-approval"


@dataclass(frozen=True)
class PruneLimits:
    """The parameters of a run that bound what it deletes; validated before.

    Attributes:
        quarantine_days: How long a snapshot must have been a candidate in every run.
        max_deletions: In each project and run.
    """

    quarantine_days: float = 7
    max_deletions: int = 10


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedDeletion(_Record):
    """A snapshot that is to be deleted, as it was planned.

    Attributes:
        rule: The rule that governs it.
        server_id: That of the server it was created from.
        server: Its name, empty if that is not known.
        labels: As `key=value`, sorted.
        size: The stored size, GB; None if that is not known.
        fingerprint: Of all that must not change until it is deleted; the other strings are sanitized and cut.
    """

    project: str
    image_id: int
    rule: str
    server_id: int
    server: str = ""
    type: str
    status: str
    created: datetime
    labels: str = ""
    description: str = ""
    size: float | None = None
    fingerprint: str

    def __str__(self) -> str:
        """Name it for a report."""
        return f"snapshot {self.image_id} of {self.project}"


class PrunePlan(_Record):
    """What is to be deleted in all projects of a run; nothing in it depends on the time when it was made."""

    policy: str
    policy_digest: str
    quarantine_days: float
    max_deletions: int
    snapshots: tuple[PlannedDeletion, ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of the plan, in hexadecimal: what is approved is approved under this."""
        return _digest(self.model_dump(mode="json"))

    @property
    def summary(self) -> str:
        """One line: how many snapshots of which project."""
        projects = [one.project for one in self.snapshots]
        counts = {project: projects.count(project) for project in dict.fromkeys(projects)}
        return ", ".join(f"{number} of {project}" for project, number in counts.items()) or "nothing"


class PruneApprovalRequest(_Record):
    """What a run stores before it suspends, and reads when it was resumed.

    Attributes:
        attempt: From 1; the plan changed before each further one.
        key: The answer is found under this key only.
        differences: What changed in the plan since the last attempt.
        used: Whether the answer was read and acted on; an approval is good for one try.
        requested: When approval was requested; None if none was.
    """

    plan: PrunePlan
    attempt: int
    key: str
    differences: tuple[str, ...] = ()
    used: bool = False
    requested: AwareDatetime | None = None

    def dump(self) -> str:
        """Embed it into an HTML comment, which a rendered page does not show."""
        return embed(_NAME, self.model_dump_json())

    @classmethod
    def load(cls, page: str) -> "PruneApprovalRequest | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        stored = extract(_NAME, page)
        try:
            return cls.model_validate_json(stored) if stored is not None else None
        except ValidationError:
            return None


def select_due(retention: Retention, quarantine: Quarantine, days: float, now: datetime) -> list[Image]:
    """Select the candidates that may be deleted now, the oldest first."""
    return [image for image in retention.candidates if quarantine.is_due(image.id, days, now)]


def plan_due(
    retention: Retention, quarantine: Quarantine, limits: PruneLimits, now: datetime
) -> tuple[PlannedDeletion, ...]:
    """Describe all that is due in one project, the oldest first, however many one run deletes."""
    due = select_due(retention, quarantine, limits.quarantine_days, now)
    return tuple(plan_deletion(retention, image) for image in due)


def plan_deletion(retention: Retention, image: Image) -> PlannedDeletion:
    """Describe a candidate as it is now; equal to an earlier description only if nothing changed."""
    group, labels = retention.verdicts[image.id].group, image.labels or {}
    if group is None or image.created is None:
        raise ValueError(f"snapshot {image.id} is not a candidate")
    return PlannedDeletion(
        project=retention.project,
        image_id=image.id,
        rule=group.rule,
        server_id=group.server_id,
        server=printable(image.created_from.name) if image.created_from else "",
        type=printable(image.type),
        status=printable(image.status),
        created=image.created,
        labels=printable(", ".join(f"{key}={labels[key]}" for key in sorted(labels))),
        description=printable(image.description),
        size=image.image_size,
        fingerprint=_fingerprint(image),
    )


def make_prune_plan(
    policy: NamedPolicy, limits: PruneLimits, projects: Iterable[Iterable[PlannedDeletion]]
) -> PrunePlan:
    """Put together what is planned in each project."""
    return PrunePlan(
        policy=policy.name,
        policy_digest=policy.policy.digest,
        quarantine_days=limits.quarantine_days,
        max_deletions=limits.max_deletions,
        snapshots=tuple(one for project in projects for one in project),
    )


def describe_differences(earlier: PrunePlan, now: PrunePlan) -> list[str]:
    """Describe what changed between two plans; a line for each snapshot, and one for what holds for all."""
    before, after = _by_snapshot(earlier), _by_snapshot(now)
    return [
        *_changed_terms(earlier, now),
        *(f"{one}: no longer to be deleted" for key, one in before.items() if key not in after),
        *(f"{one}: also to be deleted" for key, one in after.items() if key not in before),
        *(
            f"{one}: other {', '.join(changed_fields(before[key], one))}"
            for key, one in after.items()
            if key in before and before[key] != one
        ),
    ]


def select_approved(approved: PrunePlan, now: PrunePlan) -> tuple[PlannedDeletion, ...]:
    """Select what a new plan has in common with an approved one: what is new or changed is not approved."""
    if _changed_terms(approved, now):
        return ()
    before = _by_snapshot(approved)
    return tuple(one for key, one in _by_snapshot(now).items() if before.get(key) == one)


def changed_fields(before: PlannedDeletion, now: PlannedDeletion) -> list[str]:
    """Name what is no longer as it was planned."""
    names = [name for name in PlannedDeletion.model_fields if getattr(before, name) != getattr(now, name)]
    shown = [name.replace("_", " ") for name in names if name != "fingerprint"]
    return shown or (["details"] if names else [])


def describe_request(plan: PrunePlan) -> str:
    """Describe in one line what is to be approved."""
    size = sum(one.size or 0 for one in plan.snapshots)
    count = pluralize(len(plan.snapshots), "snapshot")
    return f"Delete {count} ({size:.1f} GB) that policy '{plan.policy}' does not keep: {plan.summary}"


def describe_nothing_to_prune(policy: NamedPolicy) -> str:
    """Return that no rule of the policy prunes, so that every snapshot is kept; empty if one does."""
    if any(rule.prune for rule in policy.policy.rules):
        return ""
    return f"No rule of {policy} has `prune: true`: every snapshot is kept, and there is nothing to prune."


def _by_snapshot(plan: PrunePlan) -> dict[tuple[str, int], PlannedDeletion]:
    return {(one.project, one.image_id): one for one in plan.snapshots}


def _changed_terms(earlier: PrunePlan, now: PrunePlan) -> list[str]:
    terms = [name for name in PrunePlan.model_fields if name != "snapshots"]
    changed = [name.replace("_", " ") for name in terms if getattr(earlier, name) != getattr(now, name)]
    return [f"other {', '.join(changed)}"] if changed else []


def _fingerprint(image: Image) -> str:
    source = image.created_from
    return _digest(
        {
            "type": image.type,
            "status": image.status,
            "created": image.created.isoformat() if image.created else None,
            "labels": image.labels,
            "description": image.description,
            "created_from": [source.id, source.name] if source else None,
        }
    )


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))  # ASCII: any text can be encoded
    return sha256(canonical.encode()).hexdigest()
