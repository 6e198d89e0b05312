"""Where the report of a prune run differs from the outcomes of the snapshots, or from what the run saw."""

from snapshot_protection.prune_report import ProjectPruneReport
from tests.support.prune_reference import is_sound
from tests.support.prune_world import World
from tests.support.watched_runs import WatchedRun


def untruths(world: World, run: WatchedRun, report: ProjectPruneReport) -> list[str]:
    """Return all of them; to be called when the run has just ended."""
    outcomes = {one.image_id: one.outcome for one in report.outcomes}
    wrong = [f"two outcomes of one snapshot: {outcomes}"] if len(outcomes) < len(report.outcomes) else []
    if outcomes and run.observed and outcomes.keys() != run.observed.images.keys():
        wrong.append(f"outcomes of {sorted(outcomes)}, listed {sorted(run.observed.images)}")
    left = {image_id for image_id, outcome in outcomes.items() if outcome == "left_unprotected"}
    if left - run.left:
        wrong.append(f"{left} is left unprotected, and there are events of {run.left}")
    for image_id, outcome in outcomes.items():
        if why := _untrue(world, run, image_id, outcome):
            wrong.append(f"{image_id} is reported {outcome}: {why}")
    return wrong + [
        f"{image_id} was deleted, and is reported {outcomes.get(image_id)}"
        for image_id in run.deleted
        if outcomes.get(image_id) not in {"pruned", "left_unprotected"}
    ]


def _untrue(world: World, run: WatchedRun, image_id: int, outcome: str) -> str:
    """Return why one outcome is untrue; empty if it is not."""
    is_changed, look = image_id in run.changed, run.looks.get(image_id)
    last_change = run.changed.get(image_id, 0)
    is_seen_protected = look is not None and look.is_protected and look.at > last_change
    is_protected_by_it = is_seen_protected and run.protecting.get(image_id, 0) > last_change
    match outcome:
        case "pruned" | "deleted" if world.exists(image_id):
            return "it exists"
        case "pruned" if (image_id, "deleted") not in run.changes:
            return "no deletion was requested"
        case "kept" | "in_use" | "quarantined" | "queued" | "would_prune" if is_changed:
            return f"{run.writes}"
        case "reprotected" | "failed" if is_changed and not is_seen_protected:
            return f"it was last seen as {look}"
        case "left_unprotected" if is_protected_by_it and look and look.image and is_sound(look.image):
            return f"it was last seen as {look}"
        case _:
            return ""
