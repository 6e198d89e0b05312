"""What a run requires of a project's snapshots: its policy, and the exemptions that hold. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hetzner_cloud.models import Image
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import Policy


@dataclass(frozen=True)
class Requirements:
    """The requirements of one project at one time.

    Attributes:
        exemptions: The approved exemptions that hold, by image id.
    """

    project: str
    policy: Policy = field(default_factory=Policy)
    exemptions: Mapping[int, Exemption] = field(default_factory=dict)

    def exempted_by(self, image: Image) -> str:
        """Return why a snapshot may be unprotected: a rule, or an approved exemption; empty if it may not."""
        if exemption := self.exemptions.get(image.id):
            return f"approved {exemption}"
        requirement = self.policy.require(self.project, image)
        return "" if requirement.protect else requirement.reason

    def governed_by(self, image: Image) -> str | None:
        """Return the name of the rule that governs a snapshot, "" if none does, None if there are none."""
        if not self.policy.rules:
            return None
        rule = self.policy.require(self.project, image).rule
        return rule.name if rule else ""
