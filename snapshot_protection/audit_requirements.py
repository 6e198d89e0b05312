"""What an audit requires of each snapshot: which of the unprotected or missing ones are accepted. Pure.

Whoever has an API token can change labels and descriptions. So a rule excuses that protection was removed
only if it matched in the audit before, or if the policy has changed since: an operator has done that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from hetzner_cloud.models import Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, PolicyVersion
from snapshot_protection.audit_finding import FindingName
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import NamedPolicy
from snapshot_protection.pruned_record import PrunedSnapshot


class Excuse(NamedTuple):
    """What the requirements say of one snapshot; the attributes are those of its finding.

    Attributes:
        finding: None if it is not excused.
    """

    finding: FindingName | None = None
    reason: str = ""
    by_rule: bool = False
    is_approved: bool = False
    approved_until: datetime | None = None


@dataclass(frozen=True)
class AuditRequirements:
    """The requirements of one project.

    Attributes:
        policy_key: The name that the audit was given; a policy of this name is perhaps not saved.
        exemptions: The approved exemptions by image id, also those that have expired.
        pruned: What prune runs have deleted, by image id.
    """

    project: str = ""
    policy: NamedPolicy = field(default_factory=NamedPolicy)
    policy_key: str = "default"
    exemptions: Mapping[int, Exemption] = field(default_factory=dict)
    pruned: Mapping[int, PrunedSnapshot] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """The policy's digest, which takes a while to compute."""
        return self.policy.policy.digest

    def version(self, audited: datetime) -> PolicyVersion:
        """Make what the baseline stores of the policy."""
        return PolicyVersion(self.policy.name, self.digest, audited)

    def count_unmatched(self, images: Iterable[Image]) -> int:
        """Return how many snapshots no rule matches."""
        return sum(self.policy.policy.require(self.project, image).rule is None for image in images)

    def exempting_rule(self, image: Image) -> str:
        """Return the name of the rule that exempts a snapshot, empty if none does."""
        requirement = self.policy.policy.require(self.project, image)
        return "" if requirement.protect or not requirement.rule else requirement.rule.name


@dataclass(frozen=True)
class ExcuseFinder:
    """Finds which snapshots of a listing the requirements excuse.

    Attributes:
        before: What earlier audits know.
        now: When the listing began.
    """

    requirements: AuditRequirements
    before: AuditBaseline | None
    now: datetime

    @cached_property
    def _policy_changed(self) -> bool:
        """Whether no audit has followed the policy of this name, or the last one followed another version."""
        last = self.before.policies.get(self.requirements.policy_key) if self.before else None
        return last is None or last.digest != self.requirements.digest

    def of_listed(self, image: Image, known: BaselineEntry | None) -> Excuse:
        """Return what excuses a listed snapshot; of a protected one, only whether a rule exempts it."""
        rule = self.requirements.exempting_rule(image)
        by_rule = bool(rule) and (image.is_protected or self._is_accepted(known))
        if image.is_protected:
            return Excuse(by_rule=by_rule)
        exemption = self.requirements.exemptions.get(image.id)
        if exemption and self.now < exemption.until:
            return _approved("exempt", exemption)._replace(by_rule=by_rule)
        if by_rule:
            return Excuse("exempt", f"rule '{rule}'", by_rule=True)
        suspicion = f"now matches rule '{rule}'" if rule else ""
        if exemption and self._has_expired(exemption, known):
            return _expired(exemption, suspicion)
        if not exemption and known and known.approved:  # deleted, older than what is read, or another name's
            return Excuse(reason="; ".join(filter(None, (suspicion, "its approved exemption is not found"))))
        return Excuse(reason=suspicion)

    def of_missing(self, image_id: int, known: BaselineEntry) -> Excuse:
        """Return what excuses that a snapshot is missing: it was pruned, or exempt when last listed."""
        if pruned := self.requirements.pruned.get(image_id):
            return Excuse("pruned", f"pruned {pruned}", by_rule=self.was_excused_by_rule(known))
        exemption = self.requirements.exemptions.get(image_id)
        if known.state == "missing":
            is_approved = known.approved
        else:
            is_approved = exemption is not None and self._held_at_last_audit(exemption)
        by_rule = self.was_excused_by_rule(known)
        if is_approved:
            return _approved("missing_exempt", exemption)._replace(by_rule=by_rule)
        if by_rule:
            return Excuse("missing_exempt", "a rule of the policy exempted it", by_rule=True)
        return Excuse()

    def was_excused_by_rule(self, known: BaselineEntry | None) -> bool:
        """Return whether a rule exempted a snapshot when it was last listed."""
        return known is not None and self.requirements.policy_key in known.exempt_by

    def was_excused(self, known: BaselineEntry | None) -> bool:
        """Return whether a rule or an approved exemption excused a snapshot when it was last listed."""
        return known is not None and (known.approved or self.was_excused_by_rule(known))

    def exempt_by(self, known: BaselineEntry | None, excuse: Excuse) -> frozenset[str]:
        """Return the policies that exempt a snapshot by a rule; what is known of others is kept."""
        key = frozenset({self.requirements.policy_key})
        others = known.exempt_by - key if known else frozenset()
        return others | key if excuse.by_rule else others

    def _is_accepted(self, known: BaselineEntry | None) -> bool:
        """Return whether a rule that matches an unprotected snapshot excuses that."""
        if known is None or not (known.was_protected or known.approved):
            return True
        return self._policy_changed or self.was_excused_by_rule(known)

    def _has_expired(self, exemption: Exemption, known: BaselineEntry | None) -> bool:
        """Return whether an expired exemption is why a snapshot is unprotected, for all that is known."""
        return known is None or known.approved or self._held_at_last_audit(exemption)

    def _held_at_last_audit(self, exemption: Exemption) -> bool:
        return self.before is None or self.before.listed <= exemption.until


def _approved(finding: FindingName, exemption: Exemption | None) -> Excuse:
    if exemption is None:  # it is no longer stored
        return Excuse(finding, "approved", is_approved=True)
    text = printable(f"approved {exemption}")
    return Excuse(finding, text, is_approved=True, approved_until=exemption.until)


def _expired(exemption: Exemption, suspicion: str) -> Excuse:
    text = _describe_expired(exemption)
    reason = printable(f"{suspicion}; {text}" if suspicion else text)
    return Excuse("exemption_expired", reason, is_approved=True, approved_until=exemption.until)


def _describe_expired(exemption: Exemption) -> str:
    approval = f", approved by {exemption.approved_by} (as stated)" if exemption.approved_by else ""
    return (
        f"expired {exemption.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC, was for: {exemption.reason}{approval}"
    )
