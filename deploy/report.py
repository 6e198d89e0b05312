"""The line that is printed for a deployment. Pure."""

from collections.abc import Sequence

from deploy.changes import Changes
from deploy.drift import Drift

# Fields that are sent together, and fields with a note of their own.
_AS_ONE = {"work_pool_name": "work_pool", "work_queue_name": "work_pool"}
_NOTED = {"concurrency_limit", "concurrency_options", "global_concurrency_limit_id"}


def format_deployment(changes: Changes, drift: Drift, *, created: bool) -> str:
    """Say exactly what was changed, and what happened to the settings of operators."""
    notes = [*changes.notes, *_format_replaced(changes), *_format_drift(drift, changes.replaced)]
    return "; ".join(["created" if created else _format_changes(changes), *notes])


def _format_changes(changes: Changes) -> str:
    fields = sorted({_AS_ONE.get(name, name) for name in changes.fields if name not in _NOTED})
    schedules = [f"schedule {change.slug} {change.action}" for change in changes.schedules]
    changed = [*fields, *schedules]
    return f"updated ({', '.join(changed)})" if changed else "unchanged"


def _format_replaced(changes: Changes) -> Sequence[str]:
    replaced = ", ".join(changes.replaced)
    return [f"CHECK {replaced}: your setting was replaced: prefect.yaml has changed"] if replaced else []


def _format_drift(drift: Drift, replaced: Sequence[str]) -> Sequence[str]:
    reset = (
        f"CHECK {', '.join(drift.reset)}: changed since the last `make deploy` and now as in prefect.yaml. "
        "A bare `prefect deploy` resets what operators have set"
    )
    kept = [name for name in drift.edited if name not in replaced]
    edited = f"edited in Prefect and {'otherwise ' if replaced else ''}kept: {', '.join(kept)}"
    return [*([reset] if drift.reset else []), *([edited] if kept else [])]
