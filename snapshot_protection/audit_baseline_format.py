"""How a baseline is stored: as JSON, embedded into a page; what is read is bounded and validated."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise, repeat
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from hetzner_cloud.models import MAX_ID
from hetzner_cloud.sanitize import printable
from snapshot_protection.audit_baseline import (
    AuditBaseline,
    BaselineEntry,
    PolicyVersion,
    State,
    TrendPoint,
    describe_baseline,
)
from snapshot_protection.embedding import embed, extract

_NAMES = ("audit-baseline", "audit-memory")  # the last one in 0.4.0
_LETTERS: dict[State, str] = {"protected": "1", "unprotected": "0", "removed": "r", "missing": "m"}
_STATES = {letter: state for state, letter in _LETTERS.items()}
_MAX_BYTES = 16 * 1024 * 1024  # 10,000 snapshots are less than 1 MiB
_MAX_SNAPSHOTS = 200_000
_MAX_DESCRIPTION = 40
_MAX_EVIDENCE = 120
_MAX_TREND = 30
_MAX_FOLDED = 100
_MAX_POLICIES = 20  # folded ones may have more than one audit stores
_MAX_NAME = 255

_Count = Annotated[int, Field(ge=0, le=_MAX_SNAPSHOTS)]
_Seconds = Annotated[float, Field(ge=0, le=4_102_444_800)]  # since 1970; the limit is the year 2100
_Ids = Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], Field(max_length=_MAX_SNAPSHOTS)]
_Bits = Annotated[str, Field(pattern="^[01]*$")]  # one for each id
_Name = Annotated[str, Field(max_length=_MAX_NAME)]
_Descriptions = list[Annotated[str, Field(max_length=_MAX_DESCRIPTION)]]
_Trend = Annotated[list[tuple[_Count, _Count]], Field(max_length=_MAX_TREND)]


class StoredPage(NamedTuple):
    """A stored version of a record, as it is found: nothing about it is certain."""

    id: str
    page: str
    description: str


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class _Policy(_Stored):
    """A policy that audits followed.

    Attributes:
        key: The name that the audits were given.
        exempt: Whether a rule exempted the snapshot.
    """

    key: _Name
    name: _Name
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    audited: _Seconds
    exempt: _Bits


class _Baseline(_Stored):
    """The format.

    Attributes:
        ids: Sorted; each is less the one before: small numbers compress well.
        states: A letter for each id.
        since: For each id whose state has one.
        evidence: As above.
        approved: Whether it is unprotected with approval; empty, as before there were policies: none is.
    """

    version: Literal[2] = 2
    project: str
    label_selector: str
    listed: _Seconds
    ids: _Ids
    states: Annotated[str, Field(pattern="^[01rm]*$")]
    descriptions: _Descriptions
    since: list[_Seconds]
    evidence: list[Annotated[str, Field(max_length=_MAX_EVIDENCE)]]
    trend: _Trend
    folded: Annotated[list[Annotated[str, Field(max_length=36)]], Field(max_length=_MAX_FOLDED)]
    history_lost: _Seconds | None = None
    approved: _Bits = ""
    policies: Annotated[list[_Policy], Field(max_length=_MAX_POLICIES)] = []

    def load(self) -> AuditBaseline:
        removals = iter(zip(self.since, self.evidence, strict=True))
        columns = zip(
            _accumulate(self.ids),
            self.states,
            self.descriptions,
            self._exempt_by(),
            self.approved or "0" * len(self.ids),
            strict=True,
        )
        snapshots = {
            image_id: BaselineEntry(
                _STATES[letter], text, *_removal(letter, removals), exempt_by, approved == "1"
            )
            for image_id, letter, text, exempt_by, approved in columns
        }
        return AuditBaseline(
            project=self.project,
            label_selector=self.label_selector,
            listed=_time(self.listed),
            snapshots=snapshots,
            trend=_trend(self.trend),
            folded=frozenset(self.folded),
            history_lost=_time(self.history_lost) if self.history_lost is not None else None,
            policies={
                one.key: PolicyVersion(one.name, one.digest, _time(one.audited)) for one in self.policies
            },
        )

    def _exempt_by(self) -> Iterable[frozenset[str]]:
        """Yield for each id the policies that exempt it: the same set for the same letters, not many."""
        keys = [policy.key for policy in self.policies]
        sets: dict[tuple[str, ...], frozenset[str]] = {}
        for bits in _rows([policy.exempt for policy in self.policies], len(self.ids)):
            if bits not in sets:
                sets[bits] = frozenset(key for key, bit in zip(keys, bits, strict=True) if bit == "1")
            yield sets[bits]


class _EarlierBaseline(_Stored):
    """The format of 0.4.0: `protected` has a bit for each id, and there are no names in it."""

    version: Literal[1]
    audited: _Seconds
    ids: _Ids
    protected: Annotated[str, Field(pattern="^[01]*$")]
    descriptions: _Descriptions
    trend: _Trend

    def load(self, project: str, label_selector: str) -> AuditBaseline:
        columns = zip(_accumulate(self.ids), self.protected, self.descriptions, strict=True)
        return AuditBaseline(
            project=project,
            label_selector=label_selector,
            listed=_time(self.audited),
            snapshots={image_id: BaselineEntry(_STATES[bit], text) for image_id, bit, text in columns},
            trend=_trend(self.trend),
            folded=None,
        )


_FORMATS: TypeAdapter[_Baseline | _EarlierBaseline] = TypeAdapter(
    Annotated[_Baseline | _EarlierBaseline, Field(discriminator="version")]
)


def dump_baseline(baseline: AuditBaseline) -> str:
    """Embed a baseline into an HTML comment, which a rendered page does not show.

    Raises:
        ValueError: It is larger than what is ever read.
    """
    ids = sorted(image_id for image_id in baseline.snapshots if 1 <= image_id <= MAX_ID)  # others cost none
    entries = [baseline.snapshots[image_id] for image_id in ids]
    dated = [(entry.since, entry.evidence) for entry in entries if entry.since]
    stored = _Baseline(
        project=baseline.project,
        label_selector=baseline.label_selector,
        listed=baseline.listed.timestamp(),
        ids=[later - earlier for earlier, later in pairwise([0, *ids])],
        states="".join(_LETTERS[entry.state] for entry in entries),
        descriptions=[entry.description[:_MAX_DESCRIPTION] for entry in entries],
        since=[since.timestamp() for since, _ in dated],
        evidence=[evidence[:_MAX_EVIDENCE] for _, evidence in dated],
        trend=list(baseline.trend[-_MAX_TREND:]),
        folded=sorted(baseline.folded or ()),
        history_lost=baseline.history_lost.timestamp() if baseline.history_lost else None,
        approved="".join("01"[entry.approved] for entry in entries),
        policies=[
            _Policy(
                key=key,
                name=version.name,
                digest=version.digest,
                audited=version.audited.timestamp(),
                exempt="".join("01"[key in entry.exempt_by] for entry in entries),
            )
            for key, version in sorted(baseline.policies.items())
        ],
    )
    return embed(_NAMES[0], stored.model_dump_json(), max_bytes=_MAX_BYTES)


def load_baseline(found: StoredPage, project: str, label_selector: str) -> AuditBaseline | None:
    """Load what `dump_baseline`, or 0.4.0, has embedded into a page.

    Returns:
        None if nothing in it can be read, or if it is another project's or another label selector's: keys of
        0.4.0 could be the same.
    """
    pages = (extract(name, found.page, max_bytes=_MAX_BYTES) for name in _NAMES)
    try:
        stored = _FORMATS.validate_json(next((text for text in pages if text is not None), ""))
        if isinstance(stored, _EarlierBaseline):
            is_own = found.description == describe_baseline(project)
            return stored.load(project, label_selector) if is_own else None
        is_own = (stored.project, stored.label_selector) == (project, label_selector)
        return stored.load() if is_own else None
    except (ValueError, StopIteration):
        return None


def _rows(columns: Sequence[str], count: int) -> Iterable[tuple[str, ...]]:
    if any(len(column) != count for column in columns):
        raise ValueError("a policy has more or fewer snapshots than there are")
    return zip(*columns, strict=True) if columns else repeat((), count)


def _accumulate(differences: Sequence[int]) -> Iterable[int]:
    if sum(differences) > MAX_ID:
        raise ValueError("an id is too large")
    return accumulate(differences)


def _removal(letter: str, removals: Iterable[tuple[float, str]]) -> tuple[datetime | None, str]:
    if letter not in "rm":
        return None, ""
    since, evidence = next(iter(removals))
    return _time(since), printable(evidence)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _trend(points: Sequence[tuple[int, int]]) -> tuple[TrendPoint, ...]:
    return tuple(TrendPoint(*point) for point in points)
