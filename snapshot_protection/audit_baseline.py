"""The baseline that an audit stores for the next one: what is known of a project's snapshots."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, NamedTuple

from snapshot_protection.policy import BUILT_IN

_POLICY_KEPT = timedelta(days=7)  # an audit that is started by hand, with another policy, changes nothing
_MAX_POLICIES = 5

State = Literal["protected", "unprotected", "removed", "missing"]


class BaselineEntry(NamedTuple):
    """What is known of a snapshot.

    Attributes:
        state: As it was last listed: `protected`; `unprotected`, and no audit has seen it protected;
            `removed`: unprotected, and an audit has seen it protected. Or `missing`: no longer listed, and an
            audit has seen it protected.
        description: Cut when it is stored.
        since: When the first audit that found its protection removed, or that missed it, began.
        evidence: The action that removed its protection; empty if it is not known.
        exempt_by: The names of the policies of which a rule exempted it; also if it was unprotected, where
            the rule excused that.
        approved: Whether it was unprotected, or missing, with an approved exemption.
    """

    state: State
    description: str = ""
    since: datetime | None = None
    evidence: str = ""
    exempt_by: frozenset[str] = frozenset()
    approved: bool = False

    @property
    def was_protected(self) -> bool:
        """Whether any audit has seen it protected."""
        return self.state != "unprotected"


class PolicyVersion(NamedTuple):
    """The policy that an audit has followed.

    Attributes:
        name: That of the saved policy, or `built-in`.
        digest: Of what it said.
        audited: When the last audit that followed it began to list.
    """

    name: str
    digest: str
    audited: datetime


class TrendPoint(NamedTuple):
    """A project's coverage: how many snapshots are protected, and how many are counted."""

    protected: int
    total: int


@dataclass(frozen=True)
class AuditBaseline:
    """What an audit compares a listing with.

    Attributes:
        project: The project's name.
        label_selector: What the audit selected by; empty: all snapshots.
        listed: When the audit began to list this project's snapshots.
        snapshots: By image id.
        trend: The coverage that each audit found, the last one last; 30 are stored.
        folded: The ids of the stored versions whose knowledge this one has; None for one of 0.4.0, which had
            that of all earlier ones.
        history_lost: When an audit could not read what earlier ones had stored, if that is so.
        policies: By the name that audits were given, the policies of the last ones.
    """

    project: str
    label_selector: str
    listed: datetime
    snapshots: Mapping[int, BaselineEntry]
    trend: tuple[TrendPoint, ...] = ()
    folded: frozenset[str] | None = frozenset()
    history_lost: datetime | None = None
    policies: Mapping[str, PolicyVersion] = field(default_factory=dict)

    @property
    def last_policy(self) -> PolicyVersion | None:
        """The policy of the last audit, None if it is not known."""
        return max(self.policies.values(), key=lambda version: version.audited, default=None)


def with_policy(
    policies: Mapping[str, PolicyVersion], name: str, version: PolicyVersion
) -> dict[str, PolicyVersion]:
    """Add the policy of an audit to those of the ones before; what was not followed for a week is dropped."""
    recent = {
        key: one
        for key, one in policies.items()
        if key != name and version.audited - one.audited < _POLICY_KEPT
    }
    last = sorted(recent.items(), key=lambda item: item[1].audited)[1 - _MAX_POLICIES :]
    return {**dict(last), name: version}


def changed_policy(before: AuditBaseline | None, now: PolicyVersion) -> PolicyVersion | None:
    """Return the policy that the last audit followed, if it says anything else, or is no longer saved."""
    last = before.last_policy if before else None
    if last is None or (last.digest == now.digest and (last.name == now.name or now.name != BUILT_IN)):
        return None
    return last


def baseline_key(project: str, label_selector: str) -> str:
    """Make the key under which the versions of a project's baseline are stored.

    Audits with different label selectors select different snapshots, so they are not compared.
    """
    if not label_selector:
        return f"snapshot-audit-baseline-{project}"
    return f"snapshot-audit-selected-baseline-{_digest(label_selector)[:16]}-{project}"


def earlier_baseline_keys(project: str, label_selector: str) -> list[str]:
    """Make the keys under which 0.4.0, and versions between it and this one, stored the same."""
    suffix = f"-{_digest(label_selector)[:8]}" if label_selector else ""
    keys = (f"snapshot-audit-memory-{project}{suffix}", f"snapshot-audit-baseline-{project}{suffix}")
    return [key for key in keys if key != baseline_key(project, label_selector)]


def table_key(project: str, label_selector: str) -> str:
    """Make the key of a project's table."""
    if not label_selector:
        return f"audited-snapshots-{project}"
    return f"audited-selected-snapshots-{_digest(label_selector)[:16]}-{project}"


def describe_baseline(project: str) -> str:
    """Describe a stored baseline; in 0.4.0 nothing else had the project's name."""
    return f"The baseline for the next audit of {project}."


def _digest(label_selector: str) -> str:
    return sha256(label_selector.encode()).hexdigest()
