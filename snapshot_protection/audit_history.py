"""What is known of a project's snapshots, from the stored versions of its baseline. Pure functions.

Audits may overlap, so two versions may each lack what the other one knows: then both are folded into one. No
order in which they are written can lose anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from snapshot_protection.audit_baseline import AuditBaseline, BaselineEntry, PolicyVersion
from snapshot_protection.audit_baseline_format import StoredPage, load_baseline


@dataclass(frozen=True)
class AuditHistory:
    """What earlier audits have stored.

    Attributes:
        baseline: What the audit compares with; None: there is nothing that can be read.
        versions: The ids of all stored versions that were found.
        unreadable: How many of them could not be read, and no later one stands in for.
        is_whole: Whether older versions than these cannot know more.
    """

    baseline: AuditBaseline | None = None
    versions: frozenset[str] = frozenset()
    unreadable: int = 0
    is_whole: bool = True

    @property
    def is_lost(self) -> bool:
        """Whether earlier audits have stored something, and none of it can be read."""
        return self.baseline is None and self.unreadable > 0


def read_history(pages: Sequence[StoredPage], project: str, label_selector: str) -> AuditHistory:
    """Read the stored versions, the last written first; one that is known to a readable one is not parsed."""
    readable: dict[str, AuditBaseline] = {}
    known: set[str] = set()
    for found in pages:
        if found.id not in known and (baseline := load_baseline(found, project, label_selector)):
            readable[found.id] = baseline
            known |= baseline.folded or set()
    unfolded = [baseline for version, baseline in readable.items() if version not in known]
    versions = frozenset(found.id for found in pages)
    return AuditHistory(
        baseline=_fold_all(unfolded),
        versions=versions,
        unreadable=len(versions - known - readable.keys()),
        is_whole=not pages or pages[-1].id in known or any(one.folded is None for one in unfolded),
    )


def fold(first: AuditBaseline, second: AuditBaseline) -> AuditBaseline:
    """Put together what two overlapping audits know; of what both know, the later listing decides."""
    older, newer = sorted((first, second), key=lambda baseline: baseline.listed)
    both = older.snapshots.keys() & newer.snapshots.keys()
    policies = _FoldedPolicies.of(older, newer)
    agreed = {
        image_id: _fold_entry(older.snapshots[image_id], newer.snapshots[image_id], policies)
        for image_id in both
    }
    lost = [one.history_lost for one in (older, newer) if one.history_lost]
    return replace(
        newer,
        snapshots={**older.snapshots, **newer.snapshots, **agreed},
        history_lost=max(lost, default=None),
        policies=policies.versions,
    )


def _fold_all(unfolded: Iterable[AuditBaseline]) -> AuditBaseline | None:
    """Of those of 0.4.0 only the last one counts: each had what the one before it knew."""
    earlier = [baseline for baseline in unfolded if baseline.folded is None]
    others = [baseline for baseline in unfolded if baseline.folded is not None]
    chosen = [*others, *sorted(earlier, key=lambda baseline: baseline.listed)[-1:]]
    return reduce(fold, chosen) if chosen else None


@dataclass(frozen=True)
class _FoldedPolicies:
    """What two overlapping audits know of the policies that audits have followed.

    Attributes:
        same: Those of which both know the same version.
        of_older: Those of which the older audit knows the later version.
    """

    versions: Mapping[str, PolicyVersion]
    same: frozenset[str]
    of_older: frozenset[str]

    @classmethod
    def of(cls, older: AuditBaseline, newer: AuditBaseline) -> "_FoldedPolicies":
        mine, others = newer.policies, older.policies
        of_older = {key for key in others if key not in mine or mine[key].audited < others[key].audited}
        return cls(
            versions={**others, **mine, **{key: others[key] for key in of_older}},
            same=frozenset(key for key in mine if key in others and mine[key].digest == others[key].digest),
            of_older=frozenset(of_older),
        )

    def exempt_by(self, older: BaselineEntry, newer: BaselineEntry) -> frozenset[str]:
        """Return the policies that exempt a snapshot; an unprotected one only if both audits found that."""
        strict = frozenset() if newer.state == "protected" else self.same
        either = (newer.exempt_by - self.of_older) | (older.exempt_by & self.of_older)
        return (either - strict) | (older.exempt_by & newer.exempt_by & strict)


def _fold_entry(older: BaselineEntry, newer: BaselineEntry, policies: _FoldedPolicies) -> BaselineEntry:
    exempt_by = policies.exempt_by(older, newer)
    return _fold_state(older, newer)._replace(exempt_by=exempt_by, approved=newer.approved)


def _fold_state(older: BaselineEntry, newer: BaselineEntry) -> BaselineEntry:
    if newer.state == "unprotected" and older.state == "removed":
        return older
    if newer.state == "unprotected" and older.was_protected:
        return newer._replace(state="protected")  # its loss was not reported: the next audit must find it new
    if newer.state == older.state and older.since and newer.since:
        return newer._replace(since=min(older.since, newer.since), evidence=newer.evidence or older.evidence)
    return newer
