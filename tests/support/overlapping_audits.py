"""Audits that overlap while other users change snapshots; what each must report.

A step is one moment: a change, or an audit's next phase. An audit loads the baselines, lists its project
through each token (a listing takes two moments, others change snapshots in between), and stores.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

from hetzner_cloud.models import Image
from snapshot_protection.audit import baseline_entries, compare_with_baseline
from snapshot_protection.audit_baseline import AuditBaseline, with_policy
from snapshot_protection.audit_baseline_format import StoredPage
from snapshot_protection.audit_duplicates import merge_duplicates
from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.audit_history import AuditHistory, read_history
from snapshot_protection.audit_requirements import AuditRequirements
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import NamedPolicy, Policy, Rule
from snapshot_protection.project_audit import ProjectAudit
from tests.support.stored_baselines import stored

_EPOCH = datetime(2026, 11, 25, 3, tzinfo=UTC)
_VERSIONS_IN_A_PAGE = 2
_APPROVED_MINUTES = 12
FIRST = 1  # a snapshot that no one changes


class Change(NamedTuple):
    """What another user does to the nth of the snapshots that exist."""

    kind: Literal[
        "create protected",
        "create",
        "create exempt",
        "protect",
        "unprotect",
        "delete",
        "relabel",
        "approve",
        "edit policy",
    ]
    nth: int = 0


class Advance(NamedTuple):
    """The next phase of an audit."""

    audit: int


Step = Change | Advance


class Seen(NamedTuple):
    """A snapshot as it was listed."""

    protected: bool
    exempt_by_rule: bool


@dataclass
class OverlappingAudit:
    """An audit in progress.

    Attributes:
        seen: By token, each snapshot when it was listed.
        before: The snapshots that the stored audits had listed protected when this one loaded the baselines.
        exemptions: By token, the approved exemptions when it had listed.
        policy: What it follows; None until it begins.
        skew: How far the clock of its machine is ahead.
    """

    tokens: Sequence[str]
    skew: timedelta = timedelta()
    phases: Iterator[None] | None = None
    is_stored: bool = False
    histories: dict[str, AuditHistory] = field(default_factory=dict)
    listed: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, dict[int, Seen]] = field(default_factory=dict)
    exemptions: dict[str, dict[int, Exemption]] = field(default_factory=dict)
    policy: NamedPolicy | None = None
    before: dict[str, set[int]] = field(default_factory=dict)
    findings: dict[int, SnapshotFinding] = field(default_factory=dict)

    @property
    def seen_protected(self) -> set[int]:
        return {image_id for seen in self.seen.values() for image_id, one in seen.items() if one.protected}

    @property
    def known(self) -> set[int]:
        return set().union(*self.before.values())

    @property
    def accepted(self) -> set[int]:
        """The snapshots that it listed while a rule exempted them, and was not to suspect that."""
        listed = ((image_id, one) for seen in self.seen.values() for image_id, one in seen.items())
        return {
            image_id
            for image_id, one in listed
            if one.exempt_by_rule and (one.protected or image_id not in self.known)
        }


class World:
    """A project's snapshots, the stored baselines, and the audits."""

    def __init__(self, audits: Sequence[OverlappingAudit]) -> None:
        self.audits = list(audits)
        self._snapshots = {FIRST: True, 2: True, 3: True, 4: False, 5: True}
        self._exempt_by_rule = {5}
        self._always_exempt = {5}
        self._policies = deque([_policy("UTC"), _policy("Europe/Berlin")])
        self._exemptions: dict[str, dict[int, Exemption]] = {}
        self._policy_edited = False
        self._ever_approved: set[int] = set()
        self._next_id = max(self._snapshots) + 1
        self._moment = 0
        self._pages: dict[str, list[StoredPage]] = {}  # by token, the last one first
        self._known: dict[str, set[int]] = {}  # by token, what its stored audits have listed protected

    def take(self, step: Step) -> None:
        self._moment += 1
        if isinstance(step, Change):
            self._change(step)
        else:
            self._advance(self.audits[step.audit])

    def finish(self, audit: OverlappingAudit) -> None:
        while not audit.is_stored:
            self._moment += 1
            self._advance(audit)

    def untruths(self, audit: OverlappingAudit) -> list[str]:
        """Return what an audit did not report that it must, and what it reported that no audit has seen."""
        known = audit.known
        red = {image_id for image_id, one in audit.findings.items() if one.protection_removed}
        red |= {image_id for image_id, one in audit.findings.items() if one.finding == "exemption_expired"}
        unreported = {
            image_id
            for image_id in known - audit.seen_protected - red
            if not self._is_excused(audit, audit.findings.get(image_id))
        }
        untrue = [f"{image_id} was protected and is not, and is not reported" for image_id in unreported]
        untrue += [f"{image_id} is reported, and was always exempt" for image_id in red & self._always_exempt]
        approved = self._approved(audit) - audit.seen_protected
        untrue += [f"{image_id} has an exemption, and is reported" for image_id in red & approved]
        invented = red - known - audit.seen_protected - self._ever_approved
        untrue += [f"{image_id} is reported, and was never listed protected" for image_id in invented]
        return untrue

    def _is_excused(self, audit: OverlappingAudit, found: SnapshotFinding | None) -> bool:
        """Return whether what happened in this world excuses that it is not reported as removed."""
        if found is None or found.finding not in {"exempt", "missing_exempt"}:
            return False
        if found.is_approved:
            return any(found.image_id in audit.exemptions[token] for token in audit.tokens)
        listed = (one.accepted for one in self.audits if one.findings or one.seen)
        return self._policy_edited or any(found.image_id in accepted for accepted in listed)

    def _approved(self, audit: OverlappingAudit) -> set[int]:
        """Return the snapshots that were exempt for the whole audit, whatever it had to know of them."""
        latest = max(audit.listed.values())
        return {
            image_id
            for token in audit.tokens
            for image_id, one in audit.exemptions[token].items()
            if latest < one.until
        }

    def _advance(self, audit: OverlappingAudit) -> None:
        audit.phases = audit.phases or self._phases(audit)
        next(audit.phases, None)

    def _phases(self, audit: OverlappingAudit) -> Iterator[None]:
        audit.policy = self._policies[0]
        for token in audit.tokens:
            audit.histories[token] = self._load(token)
            audit.before[token] = set(self._known.get(token, ()))
        yield
        for token in audit.tokens:
            audit.listed[token] = self._now(audit)
            audit.seen[token] = self._list(parity=1)
            yield
        for token in reversed(audit.tokens):  # the listing that began first may see the others' last
            audit.seen[token] |= self._list(parity=0)
            audit.exemptions[token] = dict(self._exemptions.get(token, {}))
            yield
        self._store(audit)
        audit.is_stored = True

    def _load(self, token: str) -> AuditHistory:
        pages, history = self._pages.get(token, []), AuditHistory()
        for end in range(_VERSIONS_IN_A_PAGE, len(pages) + _VERSIONS_IN_A_PAGE, _VERSIONS_IN_A_PAGE):
            history = read_history(pages[:end], token, "")
            if history.is_whole:
                break
        return history

    def _list(self, *, parity: int) -> dict[int, Seen]:
        return {
            image_id: Seen(on, image_id in self._exempt_by_rule)
            for image_id, on in self._snapshots.items()
            if image_id % 2 == parity
        }

    def _store(self, audit: OverlappingAudit) -> None:
        projects = [self._project(audit, token) for token in audit.tokens]
        merged = merge_duplicates(projects, {})
        assert len([one for one in merged if not one.duplicate_of]) == 1
        audit.findings = {one.image_id: one for one in merged[0].findings}
        for project in merged:
            assert project.listed
            baseline = AuditBaseline(
                project=project.project,
                label_selector="",
                listed=project.listed,
                snapshots=baseline_entries(project.findings),
                folded=project.versions,
                policies=project.policies,
            )
            pages = self._pages.setdefault(project.project, [])
            pages.insert(0, stored(f"{project.project}-{len(pages)}", baseline))
            self._known.setdefault(project.project, set()).update(audit.seen_protected)
            for before in audit.before.values():
                self._known[project.project] |= before

    def _project(self, audit: OverlappingAudit, token: str) -> ProjectAudit:
        history, listed = audit.histories[token], audit.listed[token]
        assert audit.policy
        required = AuditRequirements(token, audit.policy, exemptions=audit.exemptions[token])
        images = [_image(image_id, one) for image_id, one in audit.seen[token].items()]
        found = compare_with_baseline(
            images, history.baseline, now=listed, grace_hours=1_000, requirements=required
        )
        assert sorted(one.image_id for one in found) == sorted({one.image_id for one in found})
        return ProjectAudit(
            project=token,
            findings=found,
            listed=listed,
            versions=history.versions,
            policies=with_policy(
                history.baseline.policies if history.baseline else {}, "default", required.version(listed)
            ),
        )

    def _approve(self, image_id: int, project: str) -> None:
        until = _EPOCH + timedelta(minutes=self._moment + _APPROVED_MINUTES)
        self._exemptions.setdefault(project, {})[image_id] = Exemption(
            image_id=image_id,
            until=until,
            reason="to delete it",
            approved_by="on call",
            flow_run_id=UUID(int=self._moment),
        )
        self._snapshots[image_id] = False
        self._ever_approved.add(image_id)

    def _now(self, audit: OverlappingAudit) -> datetime:
        return _EPOCH + timedelta(minutes=self._moment) + audit.skew

    def _change(self, step: Change) -> None:
        if step.kind.startswith("create"):
            self._snapshots[self._next_id] = step.kind != "create"
            if step.kind == "create exempt":
                self._exempt_by_rule.add(self._next_id)
                self._always_exempt.add(self._next_id)
            self._next_id += 1
        elif step.kind == "edit policy":
            self._policies.rotate()
            self._policy_edited = True
        elif others := sorted(self._snapshots)[1:]:
            image_id = others[step.nth % len(others)]
            if step.kind == "delete":
                del self._snapshots[image_id]
            elif step.kind == "relabel":
                self._exempt_by_rule ^= {image_id}
                self._always_exempt.discard(image_id)
            elif step.kind == "approve":
                self._approve(image_id, "ab"[step.nth % 2])
            else:
                self._snapshots[image_id] = step.kind == "protect"


def _image(image_id: int, seen: Seen) -> Image:
    created = {"created": _EPOCH.isoformat()}  # young: only what was never protected is excused
    labels = {"labels": {"scratch": ""} if seen.exempt_by_rule else {}}
    protection = {"protection": {"delete": seen.protected}}
    return Image.model_validate({"id": image_id, "type": "snapshot", **protection, **labels, **created})


def _policy(timezone: str) -> NamedPolicy:
    rule = Rule(name="scratch", label_selector="scratch", protect=False)
    return NamedPolicy("default", Policy(rules=[rule], timezone=timezone))
