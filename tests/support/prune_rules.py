"""What must hold of a snapshot right before a prune run unprotects or deletes it."""

from tests.support.prune_reference import POLICY, is_unchanged, was_long_enough
from tests.support.prune_world import World
from tests.support.watched_runs import Change, WatchedRun


def broken_rules(
    world: World, run: WatchedRun, image_id: int, what: Change, *, max_deletions: int
) -> list[str]:
    """Return which rules a change breaks that a run has requested."""
    rules = {
        "not approved": image_id in run.approved,
        "more than the limit": len({*run.changed, image_id}) <= max_deletions,
        "sent twice": (image_id, what) not in run.changes,
        "the lock is not its own, or it is not Running": run.was_allowed,
        "no listing since it was approved": run.listed_at > run.approved_at,
        "no listing since the last change": run.listed_at > _last_change_of_others(run, image_id),
    }
    broken = [name for name, holds in rules.items() if not holds]
    return broken or _broken_by_listing(world, run, image_id, what)


def _broken_by_listing(world: World, run: WatchedRun, image_id: int, what: Change) -> list[str]:
    listed = run.listed
    if listed is None or image_id not in listed.images:
        return ["not listed"]
    now, history = listed.judged, [*world.observations[: run.known], *([run.own] if run.own else [])]
    rules = {
        "the policy changed": listed.policy == POLICY,
        "changed since it was approved": is_unchanged(run.approved[image_id], listed.images[image_id]),
        "no candidate": image_id in listed.candidates(now),
        "the last of its group": bool(listed.newer(image_id, now)),
        "not due": was_long_enough(image_id, history, run.days, now),
        "not looked at, or changed since the listing": what == "unprotected" or _is_as_listed(run, image_id),
    }
    return [name for name, holds in rules.items() if not holds]


def _last_change_of_others(run: WatchedRun, image_id: int) -> int:
    return max((at for other, at in run.changed.items() if other != image_id), default=0)


def _is_as_listed(run: WatchedRun, image_id: int) -> bool:
    """Return whether a run has looked at a snapshot since it was listed and unprotected, and all was well."""
    look = run.looks.get(image_id)
    if look is None or look.image is None or run.listed is None:
        return False
    is_recent = look.at > max(run.listed_at, run.changed.get(image_id, 0))
    return is_recent and not look.is_protected and is_unchanged(run.listed.images[image_id], look.image)
