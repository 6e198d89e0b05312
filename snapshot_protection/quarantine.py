"""Since when each candidate for pruning has been one, in every run: only then it may be deleted. Pure.

A policy that is edited does not restart it: what the edit makes a candidate begins with the next run, what it
keeps is dropped, and what is a candidate by both versions was one in every run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MAX_SNAPSHOTS = 200_000
_MAX_GAP = timedelta(hours=48)
_CLOCK_TOLERANCE = timedelta(minutes=15)  # of two machines whose runs overlap


@dataclass(frozen=True)
class Quarantine:
    """What runs with one policy know of a project's candidates.

    Attributes:
        policy: The name of the policy.
        observed: When the last run listed the whole project: the last observation of every candidate here.
        since: The first observation of each candidate, by its id; it was one in every run from then on.
        folded: The ids of the stored versions whose knowledge this one has.
    """

    project: str
    policy: str
    observed: datetime
    since: Mapping[int, datetime]
    folded: frozenset[str] = frozenset()

    def due_at(self, image_id: int, days: float) -> datetime | None:
        """Return when a candidate may be deleted; None for what is none."""
        since = self.since.get(image_id)
        return None if since is None else since + timedelta(days=days)

    def is_due(self, image_id: int, days: float, now: datetime) -> bool:
        """Return whether a candidate may be deleted now; not if the last observation no longer counts."""
        due = self.due_at(image_id, days)
        return due is not None and (due <= now or days == 0) and not restart_reason(self, now)


def restart_reason(known: Quarantine, now: datetime) -> str:
    """Return why an observation at this time restarts the quarantine of all; empty if it does not."""
    if now - known.observed > _MAX_GAP:
        return "the last run was more than 48 hours earlier"
    if now < known.observed - _CLOCK_TOLERANCE:
        return "the clock went back"
    return ""


def observe(known: Quarantine, candidates: Iterable[int], now: datetime) -> Quarantine:
    """Record which snapshots are candidates now; what is none any more is dropped.

    Only for a run that could read the whole project: one that could not changes nothing.
    """
    if restart_reason(known, now):
        return replace(known, observed=now, since=_bounded(dict.fromkeys(candidates, now)))
    latest = max(now, known.observed)  # nothing becomes due earlier because another machine's clock is behind
    since = {image_id: known.since.get(image_id, latest) for image_id in candidates}
    return replace(known, observed=latest, since=_bounded(since))


def begin(project: str, policy: str, candidates: Iterable[int], now: datetime) -> Quarantine:
    """Record the first observation, or that after a record was lost."""
    return Quarantine(project, policy, now, _bounded(dict.fromkeys(candidates, now)))


def merge_quarantines(first: Quarantine, *others: Quarantine) -> Quarantine:
    """Put together what overlapping runs know; for each candidate the most cautious of them decides.

    It was one since the latest of their first observations, if no run observed later than that it was none.
    """
    every = (first, *others)
    since: dict[int, datetime] = {}
    for image_id in {image_id for one in every for image_id in one.since}:
        began = max(one.since[image_id] for one in every if image_id in one.since)
        if all(image_id in one.since or one.observed < began for one in every):
            since[image_id] = began
    folded = frozenset().union(*(one.folded for one in every))
    return replace(first, observed=max(one.observed for one in every), since=_bounded(since), folded=folded)


def _bounded(since: Mapping[int, datetime]) -> dict[int, datetime]:
    """Keep those that are due first; what is left out begins again."""
    if len(since) <= MAX_SNAPSHOTS:
        return dict(since)
    return dict(sorted(since.items(), key=lambda one: (one[1], one[0]))[:MAX_SNAPSHOTS])
