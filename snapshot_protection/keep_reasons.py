"""Which snapshots of one group a `Keep` keeps, and why. Pure: the clock and the time zone are arguments."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from snapshot_protection.policy import Keep

Period = Literal["daily", "weekly", "monthly", "yearly"]
ReasonKind = Literal[
    "last",
    "within_days",
    Period,
    "oldest",
    "no_rule",
    "rule_keeps",
    "no_source",
    "not_available",
    "no_date",
    "future",
    "deleted",
    "unreadable",
    "exempt",
    "in_use",
]


class Reason(NamedTuple):
    """Why a snapshot is kept: for decisions, and as a report shows it."""

    kind: ReasonKind
    text: str

    def __str__(self) -> str:
        """Return what a report shows."""
        return self.text


class Dated(NamedTuple):
    """A snapshot of a group; of two that were created at the same time, that with the larger id is newer."""

    created: datetime
    image_id: int


_PERIODS: dict[Period, Callable[[datetime], str]] = {
    "daily": lambda local: f"{local.year:04}-{local.month:02}-{local.day:02}",
    "weekly": lambda local: f"{local.isocalendar().year:04}-W{local.isocalendar().week:02}",
    "monthly": lambda local: f"{local.year:04}-{local.month:02}",
    "yearly": lambda local: f"{local.year:04}",
}


def explain_kept(
    keep: Keep, group: Iterable[Dated], timezone: ZoneInfo, now: datetime
) -> dict[int, tuple[Reason, ...]]:
    """Return the reasons for each snapshot of a group that is kept; one that has none is not in it.

    Ages are compared in UTC, calendar periods are those of the time zone.
    """
    newest_first = sorted(set(group), reverse=True)
    found = [
        *_kept_last(keep, newest_first),
        *_kept_young(keep, newest_first, now),
        *(one for period in _PERIODS for one in _kept_periods(keep, period, newest_first, timezone)),
    ]
    reasons: dict[int, tuple[Reason, ...]] = {}
    for image_id, reason in found:
        reasons[image_id] = (*reasons.get(image_id, ()), reason)
    return reasons


_Found = Iterable[tuple[int, Reason]]


def _kept_last(keep: Keep, newest_first: Sequence[Dated]) -> _Found:
    reason = Reason("last", f"one of the newest {keep.last}" if keep.last > 1 else "the newest")
    return [(one.image_id, reason) for one in newest_first[: keep.last]]


def _kept_young(keep: Keep, newest_first: Sequence[Dated], now: datetime) -> _Found:
    limit = timedelta(days=keep.within_days)
    reason = Reason("within_days", f"younger than {keep.within_days:g} days")
    return [(one.image_id, reason) for one in newest_first if now - one.created < limit]


def _kept_periods(keep: Keep, period: Period, newest_first: Sequence[Dated], timezone: ZoneInfo) -> _Found:
    """Return the newest of each period, and the oldest of all while there are fewer periods than wanted."""
    wanted: int = getattr(keep, period)
    if not wanted or not newest_first:
        return []
    newest: dict[str, int] = {}
    for one in newest_first:
        newest.setdefault(_PERIODS[period](one.created.astimezone(timezone)), one.image_id)
    found = [
        (image_id, Reason(period, f"the newest of {key} ({period})"))
        for key, image_id in list(newest.items())[:wanted]
    ]
    if len(newest) < wanted:
        text = f"the oldest, while there are fewer than {wanted} periods ({period})"
        found.append((newest_first[-1].image_id, Reason("oldest", text)))
    return found
