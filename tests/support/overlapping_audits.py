"""Audits that overlap while other users change snapshots; what each must report.

A step is one moment: a change, or an audit's next phase. An audit loads the baselines, lists its project
through each token (a listing takes two moments, others change snapshots in between), and stores.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from hetzner_cloud.models import Image
from snapshot_protection.audit import baseline_entries, compare_with_baseline
from snapshot_protection.audit_baseline import AuditBaseline
from snapshot_protection.audit_baseline_format import StoredPage
from snapshot_protection.audit_duplicates import merge_duplicates
from snapshot_protection.audit_finding import SnapshotFinding
from snapshot_protection.audit_history import AuditHistory, read_history
from snapshot_protection.project_audit import ProjectAudit
from tests.support.stored_baselines import stored

_EPOCH = datetime(2026, 11, 25, 3, tzinfo=UTC)
_VERSIONS_IN_A_PAGE = 2
FIRST = 1  # a snapshot that nobody changes


class Change(NamedTuple):
    """What another user does to the nth of the snapshots that exist."""

    kind: Literal["create protected", "create", "protect", "unprotect", "delete"]
    nth: int = 0


class Advance(NamedTuple):
    """The next phase of an audit."""

    audit: int


Step = Change | Advance


@dataclass
class OverlappingAudit:
    """An audit in progress.

    Attributes:
        seen: By token, the protection of each snapshot when it was listed.
        before: The snapshots that the stored audits had listed protected when this one loaded the baselines.
        skew: How far the clock of its machine is ahead.
    """

    tokens: Sequence[str]
    skew: timedelta = timedelta()
    phases: Iterator[None] | None = None
    is_stored: bool = False
    histories: dict[str, AuditHistory] = field(default_factory=dict)
    listed: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, dict[int, bool]] = field(default_factory=dict)
    before: dict[str, set[int]] = field(default_factory=dict)
    findings: dict[int, SnapshotFinding] = field(default_factory=dict)

    @property
    def seen_protected(self) -> set[int]:
        return {image_id for seen in self.seen.values() for image_id, protected in seen.items() if protected}


class World:
    """A project's snapshots, the stored baselines, and the audits."""

    def __init__(self, audits: Sequence[OverlappingAudit]) -> None:
        self.audits = list(audits)
        self._snapshots = {FIRST: True, 2: True, 3: True, 4: False}
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
        known = set().union(*audit.before.values())
        red = {image_id for image_id, one in audit.findings.items() if one.protection_removed}
        lost = known - audit.seen_protected
        untrue = [f"{image_id} was protected and is not, and is not reported" for image_id in lost - red]
        invented = red - known - audit.seen_protected
        untrue += [f"{image_id} is reported, and was never listed protected" for image_id in invented]
        return untrue

    def _advance(self, audit: OverlappingAudit) -> None:
        audit.phases = audit.phases or self._phases(audit)
        next(audit.phases, None)

    def _phases(self, audit: OverlappingAudit) -> Iterator[None]:
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

    def _list(self, *, parity: int) -> dict[int, bool]:
        return {image_id: on for image_id, on in self._snapshots.items() if image_id % 2 == parity}

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
            )
            pages = self._pages.setdefault(project.project, [])
            pages.insert(0, stored(f"{project.project}-{len(pages)}", baseline))
            self._known.setdefault(project.project, set()).update(audit.seen_protected)
            for before in audit.before.values():
                self._known[project.project] |= before

    def _project(self, audit: OverlappingAudit, token: str) -> ProjectAudit:
        history, listed = audit.histories[token], audit.listed[token]
        images = [_image(image_id, on) for image_id, on in audit.seen[token].items()]
        found = compare_with_baseline(images, history.baseline, now=listed, grace_hours=1_000)
        return ProjectAudit(project=token, findings=found, listed=listed, versions=history.versions)

    def _now(self, audit: OverlappingAudit) -> datetime:
        return _EPOCH + timedelta(minutes=self._moment) + audit.skew

    def _change(self, step: Change) -> None:
        if step.kind.startswith("create"):
            self._snapshots[self._next_id] = step.kind == "create protected"
            self._next_id += 1
        elif others := sorted(self._snapshots)[1:]:
            image_id = others[step.nth % len(others)]
            if step.kind == "delete":
                del self._snapshots[image_id]
            else:
                self._snapshots[image_id] = step.kind == "protect"


def _image(image_id: int, on: bool) -> Image:  # noqa: FBT001 - an item of a dict
    created = {"created": _EPOCH.isoformat()}  # young: only what was never protected is excused
    return Image.model_validate({"id": image_id, "type": "snapshot", "protection": {"delete": on}, **created})
