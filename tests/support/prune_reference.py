"""Which snapshots may be pruned, a slow second time: from what the API returned as JSON, not as models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from snapshot_protection.policy import Keep, Policy, Rule
from tests.support.retention_worlds import kept_slowly

RULES = {
    "dev": Keep(last=1, within_days=0, daily=0, weekly=0, monthly=0),
    "prod": Keep(last=2, within_days=2, daily=3, weekly=0, monthly=0),
    "scratch": Keep(last=1, within_days=0, daily=0, weekly=0, monthly=0),
}
NOT_PROTECTED = "scratch"
POLICY = Policy(
    rules=[
        *(
            Rule(name=env, label_selector=f"env={env}", prune=True, protect=env != NOT_PROTECTED, keep=keep)
            for env, keep in RULES.items()
        ),
        Rule(name="kept", label_selector="env=kept"),
    ]
)
EDITED_POLICY = Policy(rules=[Rule(name="all", label_selector="env=dev", prune=True, keep=Keep(last=9))])
_GAP, _BACK, _TOLERANCE = timedelta(hours=48), timedelta(minutes=15), timedelta(minutes=30)
_MUST_NOT_CHANGE = ("type", "status", "created", "created_from", "labels", "description", "deleted")

Json = dict[str, Any]


@dataclass(frozen=True)
class Listed:
    """Both lists as one run received them, and what it read right after them.

    Attributes:
        began: When the first of them was received.
        judged: By this machine's clock, when both were compared with the policy.
        exempt: Until when which snapshots were exempt then.
        policy: As it was saved then.
    """

    images: Mapping[int, Json]
    in_use: frozenset[int]
    began: datetime
    judged: datetime
    exempt: Mapping[int, datetime]
    policy: Policy

    def group_of(self, image_id: int, now: datetime) -> tuple[str, int] | None:
        """Return what a snapshot is counted in; None if it is kept whatever others there are."""
        image = self.images.get(image_id)
        if image is None or not is_sound(image):
            return None
        env, created = image["labels"].get("env"), datetime.fromisoformat(image["created"])
        is_exempt = image_id in self.exempt and now < self.exempt[image_id]
        is_whole = image["status"] == "available" and image["deleted"] is None and created <= now
        source = image["created_from"]
        if env not in RULES or is_exempt or not is_whole or not source:
            return None
        return env, source["id"]

    def candidates(self, now: datetime) -> set[int]:
        """Return what nothing keeps."""
        return {image_id for image_id in self.images if self._is_candidate(image_id, now)}

    def newer(self, image_id: int, now: datetime) -> set[int]:
        """Return the newer ones of its group, which remain when it is deleted."""
        group = self.group_of(image_id, now)
        return {
            other
            for other in self.images
            if group and self.group_of(other, now) == group and self._dated(other) > self._dated(image_id)
        }

    def _is_candidate(self, image_id: int, now: datetime) -> bool:
        group = self.group_of(image_id, now)
        if group is None or image_id in self.in_use:
            return False
        members = [self._dated(other) for other in self.images if self.group_of(other, now) == group]
        return image_id not in kept_slowly(RULES[group[0]], members, "UTC", now)

    def _dated(self, image_id: int) -> tuple[datetime, int]:
        return datetime.fromisoformat(self.images[image_id]["created"]), image_id


@dataclass(frozen=True)
class Observed:
    """An observation that was stored: when it began and ended, and what was a candidate at its end."""

    began: datetime
    ended: datetime
    candidates: frozenset[int]


def was_long_enough(image_id: int, history: Sequence[Observed], days: float, now: datetime) -> bool:
    """Return whether it was a candidate in each of the last observations, of which the first is old enough.

    Where a clock moved during an observation, the most permissive of its times counts.
    """
    return any(
        _is_unbroken(history[at:], now)
        and all(image_id in one.candidates for one in history[at:])
        and (days == 0 or history[at].began + timedelta(days=days) <= now + _TOLERANCE)
        for at in range(len(history))
    )


def is_unchanged(before: Json, now: Json) -> bool:
    """Return whether a snapshot is the one that was approved."""
    return all(before[name] == now[name] for name in _MUST_NOT_CHANGE)


def must_be_protected(image: Json) -> bool:
    """Return whether the policy wants it protected."""
    is_exempt = (image["labels"] or {}).get("env") == NOT_PROTECTED
    return not is_exempt and image["deleted"] is None


def _is_unbroken(history: Sequence[Observed], now: datetime) -> bool:
    latest = history[0]
    for one in (*history[1:], Observed(now, now, frozenset())):
        if one.began - latest.ended > _GAP + _TOLERANCE or one.ended < latest.began - _BACK - _TOLERANCE:
            return False
        latest = max(latest, one, key=lambda each: each.ended)
    return True


def is_sound(image: Json) -> bool:
    """Return whether all of it that counts can be read."""
    labels, source = image["labels"], image["created_from"]
    return (
        image["type"] == "snapshot"
        and isinstance(image["status"], str)
        and isinstance(labels, dict)
        and _is_date(image["created"])
        and (source is None or (isinstance(source["id"], int) and bool(source["name"])))
        and isinstance(image["protection"], dict)
        and isinstance(image["protection"]["delete"], bool)
    )


def _is_date(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)) > datetime(1971, 1, 1, tzinfo=UTC)
    except (ValueError, TypeError):
        return False


def used_by(servers: Iterable[Json]) -> frozenset[int]:
    """Return which images servers were created from."""
    return frozenset(one["image"]["id"] for one in servers if one["image"])
