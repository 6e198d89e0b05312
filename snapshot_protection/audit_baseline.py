"""What an audit keeps for the next one, small enough to be kept every night."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import NamedTuple

from snapshot_protection.embedding import embed, extract

_VERSION = 1
_NAME = "audit-memory"
_MAX_DESCRIPTION = 40
_MAX_TREND = 30


class BaselineEntry(NamedTuple):
    """What is kept of a snapshot; its description is cut."""

    protected: bool
    description: str


class TrendPoint(NamedTuple):
    """What an audit pluralize, `total` without those that were in their time of grace."""

    protected: int
    total: int


@dataclass(frozen=True)
class AuditBaseline:
    """What an audit saw.

    Attributes:
        audited: When.
        snapshots: By image id, what was there.
        trend: What the last audits pluralize, this one last, 30 at most.
    """

    audited: datetime
    snapshots: Mapping[int, BaselineEntry]
    trend: tuple[TrendPoint, ...] = ()

    def dump(self) -> str:
        """Pack it into an HTML comment, which a rendered page does not show."""
        ids = sorted(self.snapshots)
        kept = [self.snapshots[image_id] for image_id in ids]
        packed = {
            "version": _VERSION,
            "audited": self.audited.timestamp(),
            "ids": [later - earlier for earlier, later in pairwise([0, *ids])],  # small numbers embed well
            "protected": "".join("01"[last.protected] for last in kept),
            "descriptions": [last.description[:_MAX_DESCRIPTION] for last in kept],
            "trend": self.trend[-_MAX_TREND:],
        }
        return embed(_NAME, json.dumps(packed, separators=(",", ":"), ensure_ascii=False))

    @classmethod
    def load(cls, text: str) -> "AuditBaseline | None":
        """Unpack what `dump` has packed somewhere in a text; None if there is nothing that can be read."""
        if (kept := extract(_NAME, text)) is None:
            return None
        try:
            return cls._read(kept)
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            return None

    @classmethod
    def _read(cls, kept: str) -> "AuditBaseline | None":
        packed = json.loads(kept)
        if packed["version"] != _VERSION:
            return None
        snapshots = zip(accumulate(packed["ids"]), packed["protected"], packed["descriptions"], strict=True)
        return cls(
            audited=datetime.fromtimestamp(packed["audited"], UTC),
            snapshots={image_id: BaselineEntry(bit == "1", text) for image_id, bit, text in snapshots},
            trend=tuple(TrendPoint(*point) for point in packed["trend"]),
        )
