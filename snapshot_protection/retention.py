"""Which snapshots of a project a policy keeps, and why; all others are candidates for pruning. Pure.

A snapshot of which something is not certain is kept, and is not counted in its group: what may be
incomplete, deleted soon or misdated never displaces another one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from hetzner_cloud.models import MAX_ID, Image
from hetzner_cloud.sanitize import printable
from snapshot_protection.error_info import ErrorInfo
from snapshot_protection.keep_reasons import Dated, Reason, explain_kept
from snapshot_protection.policy import Rule
from snapshot_protection.requirements import Requirements
from snapshot_protection.unreadable import UNREADABLE, ListedSnapshot, Listing, UnreadableSnapshot

_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # a date before, as of an empty field, is no date of creation
_CONTRADICTORY = ErrorInfo(code=UNREADABLE, message="listed twice, with different contents")


class UsesImage(Protocol):
    """What is needed of a server."""

    @property
    def image_id(self) -> int | None: ...


@dataclass(frozen=True)
class ProjectLists:
    """Both lists of a project; without both, no candidate can be determined and the whole project is kept."""

    snapshots: Listing
    images_in_use: frozenset[int]

    @classmethod
    def of(cls, snapshots: Listing, servers: Iterable[UsesImage]) -> "ProjectLists":
        """Make it of the list of snapshots and that of servers."""
        return cls(snapshots, frozenset(one.image_id for one in servers if one.image_id is not None))


class Group(NamedTuple):
    """What is counted together: snapshots of one server, by its id, that one rule governs in one project."""

    project: str
    rule: str
    server_id: int


@dataclass(frozen=True)
class Verdict:
    """What the policy means for one snapshot.

    Attributes:
        snapshot: As listed.
        rule: The name of the rule that governs it; empty if none does, or if that could not be read.
        group: None if it is kept whatever its group has.
        reasons: Why it is kept; empty for a candidate.
    """

    snapshot: ListedSnapshot
    rule: str = ""
    group: Group | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def is_candidate(self) -> bool:
        """Whether nothing keeps it."""
        return not self.reasons

    @property
    def kept_by(self) -> str:
        """Why it is kept, as a report shows it; empty for a candidate."""
        return "; ".join(str(reason) for reason in self.reasons)


@dataclass(frozen=True)
class Retention:
    """What the policy means for each snapshot of a project, by its id."""

    project: str
    verdicts: Mapping[int, Verdict]

    @cached_property
    def candidates(self) -> tuple[Image, ...]:
        """Those that nothing keeps, the oldest first."""
        found = (one.snapshot for one in self.verdicts.values() if one.is_candidate)
        return tuple(sorted((one for one in found if isinstance(one, Image)), key=dated))

    def newer_of_group(self, image_id: int) -> list[int]:
        """Return the ids of the newer snapshots of the same group; none, for one that has no group."""
        verdict = self.verdicts[image_id]
        if verdict.group is None or not isinstance(verdict.snapshot, Image):
            return []
        return [
            one.snapshot.id
            for one in self.verdicts.values()
            if one.group == verdict.group
            and isinstance(one.snapshot, Image)
            and dated(one.snapshot) > dated(verdict.snapshot)
        ]


def dated(image: Image) -> Dated:
    """Return what orders snapshots by their age."""
    return Dated(image.created or _EARLIEST, image.id)


def apply_retention(lists: ProjectLists, requirements: Requirements, now: datetime) -> Retention:
    """Determine for each snapshot of a project why it is kept, if it is.

    Args:
        lists: The snapshots, and which images servers use.
        requirements: The policy, and the approved exemptions that hold.
        now: In UTC; ages are compared with it.
    """
    classified = [_classify(one, requirements, now) for one in _list_once(lists.snapshots.snapshots)]
    counted = _explain_groups(classified, requirements, now)
    verdicts = {
        one.snapshot.id: Verdict(
            one.snapshot,
            one.rule.name if one.rule else "",
            one.group,
            (*one.reasons, *counted.get(one.snapshot.id, ()), *_in_use(one.snapshot, lists)),
        )
        for one in classified
    }
    return Retention(requirements.project, verdicts)


@dataclass(frozen=True)
class _Classified:
    """A snapshot, before those of its group are compared."""

    snapshot: ListedSnapshot
    rule: Rule | None = None
    group: Group | None = None
    reasons: tuple[Reason, ...] = ()


def _list_once(listing: Iterable[ListedSnapshot]) -> Iterator[ListedSnapshot]:
    """Yield each snapshot once; one that is listed with different contents is not readable."""
    found: dict[int, ListedSnapshot] = {}
    contradictory: set[int] = set()
    for one in listing:
        if found.setdefault(one.id, one) != one:
            contradictory.add(one.id)
    for image_id, one in found.items():
        if image_id in contradictory:
            yield UnreadableSnapshot(image_id, _CONTRADICTORY)
        elif one.is_snapshot:
            yield one


def _classify(snapshot: ListedSnapshot, requirements: Requirements, now: datetime) -> _Classified:
    if isinstance(snapshot, UnreadableSnapshot):
        return _Classified(snapshot, reasons=(Reason("unreadable", snapshot.error.message),))
    rule = requirements.policy.require(requirements.project, snapshot).rule
    reasons = (
        *_kept_by_rule(rule),
        *_kept_by_contents(snapshot, now),
        *_kept_by_exemption(snapshot, requirements),
    )
    source = _server_id(snapshot)
    if reasons or rule is None or source is None:
        return _Classified(snapshot, rule, reasons=reasons)
    return _Classified(snapshot, rule, Group(requirements.project, rule.name, source))


def _kept_by_rule(rule: Rule | None) -> Iterator[Reason]:
    if rule is None:
        yield Reason("no_rule", "no rule matches")
    elif not rule.prune:
        yield Reason("rule_keeps", f"rule '{rule.name}' does not prune")


def _kept_by_contents(image: Image, now: datetime) -> Iterator[Reason]:
    if image.deleted:
        yield Reason("deleted", "already deleted")
    if image.status != "available":
        status = printable(image.status) or "unknown"
        yield Reason("not_available", f"not available, but {status}")
    unreadable = [*sorted(image.unreadable), *(["labels"] if image.labels is None else [])]
    if unreadable:  # a rule that keeps it might match what could not be read
        yield Reason("unreadable", f"could not be read: {', '.join(unreadable)}")
    if _server_id(image) is None:
        yield Reason("no_source", "the server it was created from is not known")
    if image.created is None or image.created < _EARLIEST:
        yield Reason("no_date", "its date of creation is not known")
    elif image.created > now:
        yield Reason("future", "its date of creation is in the future")


def _kept_by_exemption(image: Image, requirements: Requirements) -> Iterator[Reason]:
    """An approved exemption only: a rule that does not require protection keeps nothing."""
    if exemption := requirements.exemptions.get(image.id):
        yield Reason("exempt", f"exempt, approved {exemption}")


def _in_use(snapshot: ListedSnapshot, lists: ProjectLists) -> Iterator[Reason]:
    if snapshot.id in lists.images_in_use:
        yield Reason("in_use", "a server was created from it")


def _explain_groups(
    classified: Iterable[_Classified], requirements: Requirements, now: datetime
) -> dict[int, tuple[Reason, ...]]:
    groups: defaultdict[Group, list[Dated]] = defaultdict(list)
    rules: dict[Group, Rule] = {}
    for one in classified:
        if one.group and one.rule and isinstance(one.snapshot, Image):
            groups[one.group].append(dated(one.snapshot))
            rules[one.group] = one.rule
    timezone = ZoneInfo(requirements.policy.timezone)
    reasons: dict[int, tuple[Reason, ...]] = {}
    for group, members in groups.items():
        reasons |= explain_kept(rules[group].keep, members, timezone, now)
    return reasons


def _server_id(image: Image) -> int | None:
    """Return the id of the server it was created from; None if no server can have it, or it has no name."""
    source = image.created_from
    is_known = source is not None and source.id is not None and 1 <= source.id <= MAX_ID and source.name
    return source.id if source and is_known else None
