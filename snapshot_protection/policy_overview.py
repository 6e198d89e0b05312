"""A policy's effect on the existing snapshots: how many each rule governs, which are exempt. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.policy import Policy


@dataclass(frozen=True)
class ExemptSnapshot:
    """A snapshot that a rule exempts from protection."""

    image_id: int
    rule: str
    protected: bool
    description: str


@dataclass(frozen=True)
class ProjectOverview:
    """What a policy means for one project.

    Attributes:
        governed: How many snapshots each rule governs, by its name; "": those that no rule matches.
        exempt: Those that must not be protected, in the order of the listing.
        error: Why the project could not be read; empty if it was.
    """

    project: str
    governed: Mapping[str, int] = field(default_factory=dict)
    exempt: Sequence[ExemptSnapshot] = ()
    error: str = ""


def make_overview(policy: Policy, project: str, images: Iterable[Image]) -> ProjectOverview:
    """Apply a policy to a project's listing."""
    snapshots = [(image, policy.require(project, image)) for image in images if image.is_snapshot]
    exempt = [
        ExemptSnapshot(image.id, one.rule.name, image.is_protected, printable(image.description))
        for image, one in snapshots
        if one.rule and not one.protect
    ]
    governed = Counter(one.rule.name if one.rule else "" for _, one in snapshots)
    return ProjectOverview(project, governed, exempt)


def unused_rules(policy: Policy, projects: Iterable[ProjectOverview]) -> list[str]:
    """Return the names of the rules that govern no snapshot of any project."""
    used = {name for project in projects for name in project.governed}
    return [rule.name for rule in policy.rules if rule.name not in used]
