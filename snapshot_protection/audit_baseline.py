"""The baseline that an audit stores for the next one, small enough to be stored every night."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import NamedTuple

from snapshot_protection.embedding import embed, extract

_VERSION = 1
_NAME = "audit-baseline"
_MAX_DESCRIPTION = 40
_MAX_TREND = 30


class BaselineEntry(NamedTuple):
    """A snapshot of the baseline; its description is cut when it is stored."""

    protected: bool
    description: str


class TrendPoint(NamedTuple):
    """A project's coverage: how many snapshots are protected, and how many are counted."""

    protected: int
    total: int


@dataclass(frozen=True)
class AuditBaseline:
    """What an audit compares a listing with: the snapshots that the last one listed.

    Attributes:
        audited: When the last audit began.
        snapshots: By image id.
        trend: The coverage that each audit found, the last one last; 30 are stored.
    """

    audited: datetime
    snapshots: Mapping[int, BaselineEntry]
    trend: tuple[TrendPoint, ...] = ()

    def dump(self) -> str:
        """Embed it into an HTML comment, which a rendered page does not show."""
        ids = sorted(self.snapshots)
        entries = [self.snapshots[image_id] for image_id in ids]
        fields = {
            "version": _VERSION,
            "audited": self.audited.timestamp(),
            "ids": [later - earlier for earlier, later in pairwise([0, *ids])],  # small numbers compress well
            "protected": "".join("01"[entry.protected] for entry in entries),
            "descriptions": [entry.description[:_MAX_DESCRIPTION] for entry in entries],
            "trend": self.trend[-_MAX_TREND:],
        }
        return embed(_NAME, json.dumps(fields, separators=(",", ":"), ensure_ascii=False))

    @classmethod
    def load(cls, page: str) -> "AuditBaseline | None":
        """Extract what `dump` has embedded into a page; None if there is nothing that can be read."""
        if (stored := extract(_NAME, page)) is None:
            return None
        try:
            return cls._parse(stored)
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            return None

    @classmethod
    def _parse(cls, stored: str) -> "AuditBaseline | None":
        fields = json.loads(stored)
        if fields["version"] != _VERSION:
            return None
        snapshots = zip(accumulate(fields["ids"]), fields["protected"], fields["descriptions"], strict=True)
        return cls(
            audited=datetime.fromtimestamp(fields["audited"], UTC),
            snapshots={image_id: BaselineEntry(bit == "1", text) for image_id, bit, text in snapshots},
            trend=tuple(TrendPoint(*point) for point in fields["trend"]),
        )


def project_key(kind: str, project: str, label_selector: str) -> str:
    """Make the key of a project's table or baseline.

    Audits with different label selectors select different snapshots, so they are not compared.
    """
    suffix = f"-{sha256(label_selector.encode()).hexdigest()[:8]}" if label_selector else ""
    return f"{kind}-{project}{suffix}"
