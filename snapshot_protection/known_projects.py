"""The projects that audits have covered, so that the next one notices which of them is missing. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from snapshot_protection.embedding import embed, extract
from snapshot_protection.markdown import escape_markdown

_NAME = "known-projects"
_LATER = timedelta(microseconds=1)


class KnownProjects(BaseModel):
    """When each project was last seen, and when its removal was confirmed: by name, the later time wins.

    Attributes:
        seen: When its credentials block was last seen by an audit of all projects.
        removed: When an operator confirmed that it is to be audited no more.
    """

    model_config = ConfigDict(frozen=True)

    seen: Mapping[str, AwareDatetime] = {}
    removed: Mapping[str, AwareDatetime] = {}

    @property
    def expected(self) -> dict[str, datetime]:
        """The projects that are to be audited, each with the time when it was last seen."""
        return {
            name: at for name, at in self.seen.items() if name not in self.removed or self.removed[name] < at
        }

    def with_seen(self, names: Iterable[str], at: datetime) -> "KnownProjects":
        """Record that blocks of these projects were seen: later than a removal that is known already."""
        seen = {name: _after(at, self.removed.get(name)) for name in names}
        return merge([self, KnownProjects(seen=seen)])

    def with_removed(self, name: str, at: datetime) -> "KnownProjects":
        """Record that the removal of a project is confirmed: later than it was seen, whatever clocks say."""
        return merge([self, KnownProjects(removed={name: _after(at, self.seen.get(name))})])

    def dump(self) -> str:
        """Make a page that people read, with the data embedded for the next audit."""
        expected = self.expected
        rows = [f"| {escape_markdown(name)} | {expected[name]:%Y-%m-%d %H:%M} |" for name in sorted(expected)]
        text = (
            "The next audit of all projects reports those whose credentials block is no longer saved. "
            "Confirm a removal: `hetzner-snapshots credentials delete NAME`."
        )
        table = ["| project | last seen, UTC |", "| --- | --- |", *rows]
        return "\n".join([text, "", *table, "", embed(_NAME, self.model_dump_json()), ""])

    @classmethod
    def load(cls, page: str) -> "KnownProjects | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        try:
            return cls.model_validate_json(extract(_NAME, page) or "")
        except ValidationError:
            return None


def merge(records: Sequence[KnownProjects]) -> KnownProjects:
    """Merge records that were written independently, in whatever order."""
    return KnownProjects(
        seen=_latest(record.seen for record in records),
        removed=_latest(record.removed for record in records),
    )


def _latest(records: Iterable[Mapping[str, datetime]]) -> dict[str, datetime]:
    latest: dict[str, datetime] = {}
    for record in records:
        latest |= {name: max(at, latest.get(name, at)) for name, at in record.items()}
    return latest


def _after(at: datetime, other: datetime | None) -> datetime:
    return at if other is None else max(at, other + _LATER)
