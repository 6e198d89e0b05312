"""Snapshots, policies and clocks for tests of retention, and a slow second implementation of it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from hetzner_cloud.models import Image
from snapshot_protection.exemptions import Exemption
from snapshot_protection.policy import Keep, Policy, Rule
from snapshot_protection.quarantine import Quarantine
from snapshot_protection.requirements import Requirements
from snapshot_protection.retention import ProjectLists
from snapshot_protection.unreadable import Listing
from tests.support.api_json import image_json

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia")
PRUNED = Rule(name="pruned", label_selector="env=dev", prune=True, keep=Keep(last=1, within_days=0))
KEPT = Rule(name="kept", label_selector="env=prod")

_FORMATS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}


def keep(**fields: Any) -> Keep:
    """Make a Keep of which nothing but the newest snapshot and these fields keep."""
    return Keep.model_validate(
        {"last": 1, "within_days": 0, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0} | fields
    )


def snapshot(image_id: int, created: datetime | str | None = None, **fields: Any) -> Image:
    """Make a snapshot of server 1 with env=dev; by default, the larger its id is the newer it is."""
    time = created or NOW - timedelta(days=1_000 - image_id)
    return Image.model_validate(
        image_json(image_id, **{"created": time, "labels": {"env": "dev"}, **fields}),
    )


def lists(*images: Image, in_use: Iterable[int] = ()) -> ProjectLists:
    return ProjectLists(Listing(images), frozenset(in_use))


def requirements(*rules: Rule, exempt: Iterable[Exemption] = (), timezone: str = "UTC") -> Requirements:
    policy = Policy(rules=list(rules) or [PRUNED, KEPT], timezone=timezone)
    return Requirements("prod", policy, {one.image_id: one for one in exempt})


def kept_slowly(keep: Keep, group: Iterable[tuple[datetime, int]], zone: str, now: datetime) -> set[int]:
    """Return the ids that a Keep keeps, as its definition says it: each is compared with all others."""
    every = set(group)
    return {one[1] for one in every if _is_kept(keep, one, every, ZoneInfo(zone), now)}


def _is_kept(
    keep: Keep, one: tuple[datetime, int], every: set[tuple[datetime, int]], zone: ZoneInfo, now: datetime
) -> bool:
    newer = {other for other in every if other > one}
    age_days = (now - one[0]).total_seconds() / 86_400
    if len(newer) < keep.last or age_days < keep.within_days:
        return True
    for field, form in _FORMATS.items():
        wanted = getattr(keep, field)
        own = one[0].astimezone(zone).strftime(form)
        later = {other[0].astimezone(zone).strftime(form) for other in newer}
        if own not in later and len(later) < wanted:
            return True
        if len(later | {own}) < wanted and one == min(every):
            return True
    return False


_COUNTS = st.integers(0, 5)
KEEPS = st.builds(
    Keep,
    last=st.integers(1, 4),
    within_days=st.sampled_from([0, 0.5, 1, 7, 40]),
    daily=_COUNTS,
    weekly=_COUNTS,
    monthly=_COUNTS,
    yearly=_COUNTS,
)
# Dense and sparse, with many at the same second, around the ends of days, weeks, months and years.
TIMES = st.one_of(
    st.integers(0, 40).map(lambda hours: NOW - timedelta(hours=hours)),
    st.integers(0, 60).map(lambda days: NOW - timedelta(days=days, hours=11)),
    st.integers(0, 40).map(lambda months: NOW - timedelta(days=30 * months)),
    st.integers(-60, 60).map(lambda hours: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)),
)
GROUPS = st.lists(TIMES, max_size=25).map(lambda times: [(time, at) for at, time in enumerate(times, 1)])


def record_of(since: dict[int, datetime], observed: datetime = NOW) -> Quarantine:
    """Make the quarantine of project prod with the policy `default`."""
    return Quarantine("prod", "default", observed, since)
