"""From what prefect.yaml describes, the record and what the server has: the changes to make. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import SCHEDULE_TYPES, IntervalSchedule
from prefect.utilities.callables import ParameterSchema

from deploy.merge import (
    Part,
    Parts,
    changed_parts,
    describe_parts,
    described_slugs,
    merge_mapping,
    merge_tags,
    replaced_parts,
)
from deploy.plan import DeploymentSpec, ScheduleSpec
from deploy.record import Digests

_KIND = "__prefect_kind"


@dataclass(frozen=True)
class ScheduleChange:
    """A schedule to create, update or delete; Prefect clears its parameters if they are not sent."""

    action: Literal["created", "updated", "deleted"]
    slug: str
    schedule_id: UUID | None = None
    schedule: SCHEDULE_TYPES | None = None
    active: bool | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What to change in a deployment.

    Attributes:
        fields: For one request, named as in Prefect's API.
        schedules: One request each, by id.
        notes: What the operator should know.
        replaced: What operators have set, and prefect.yaml has changed since then, e.g. `parameters.dry_run`.
    """

    fields: Mapping[str, Any]
    schedules: Sequence[ScheduleChange] = ()
    notes: Sequence[str] = ()
    replaced: Sequence[str] = ()


def find_changes(spec: DeploymentSpec, last: Digests | None, deployed: DeploymentResponse) -> Changes:
    """Compare a deployment with its description.

    Args:
        spec: What prefect.yaml describes.
        last: The digests of what it described at the last deploy; None if that is unknown. Then whatever an
            operator may have set stays.
        deployed: What the server has.
    """
    parts = describe_parts(spec)
    changed = changed_parts(parts, last)
    merged, notes = _merge_fields(deployed, parts, changed)
    limit, removed = _clear_limit(deployed)
    schedules, kept = _find_schedule_changes(spec, parts, changed, last, deployed.schedules)
    always = {name: value for name, value in spec.always.items() if not _equal(name, value, deployed)}
    replaced = replaced_parts(_describe(deployed), parts, changed, last)
    return Changes(
        always | merged | limit,
        tuple(schedules),
        (*removed, *notes, *kept),
        tuple(name for name in replaced if "parameters" in merged or not name.startswith("parameters.")),
    )


def _describe(deployed: DeploymentResponse) -> Parts:
    """As prefect.yaml would describe it; intervals, whose anchor date it may leave open, are left out."""
    return describe_parts(
        DeploymentSpec(
            name="",
            short_name="",
            always={},
            work_pool=deployed.work_pool_name or "",
            work_queue=None if deployed.work_queue_name == "default" else deployed.work_queue_name,
            parameters=deployed.parameters,
            job_variables=deployed.job_variables,
            paused=deployed.paused,
            enforce_parameter_schema=deployed.enforce_parameter_schema,
            schedules=[
                ScheduleSpec(item.slug, item.schedule, item.active, item.parameters)
                for item in deployed.schedules
                if item.slug and not isinstance(item.schedule, IntervalSchedule)
            ],
        )
    )


def _equal(name: str, value: object, deployed: DeploymentResponse) -> bool:
    now = getattr(deployed, name)
    if name == "parameter_openapi_schema":
        return ParameterSchema.model_validate(now or {}) == ParameterSchema.model_validate(value)
    return bool(now == value)


def _merge_fields(
    deployed: DeploymentResponse, parts: Parts, changed: set[Part]
) -> tuple[dict[str, Any], list[str]]:
    merged: dict[str, Any] = {
        "tags": merge_tags(deployed.tags, parts, changed),
        "parameters": merge_mapping(deployed.parameters, parts, changed, "parameters"),
        "job_variables": merge_mapping(deployed.job_variables, parts, changed, "job_variables"),
    }
    merged |= {name: parts[name,] for name in ("paused", "enforce_parameter_schema") if (name,) in changed}
    fields = {name: value for name, value in merged.items() if value != getattr(deployed, name)}
    pool, notes = dict(zip(("work_pool_name", "work_queue_name"), parts["work_pool",], strict=True)), []
    if deployed.work_pool_name is None:
        notes = [f"CHECK it had no work pool, so nothing ran it; now in {pool['work_pool_name']}"]
    if notes or ("work_pool",) in changed:
        fields |= {name: value for name, value in pool.items() if value}
    if "parameters" in fields and _holds_kind(deployed.parameters):
        del fields["parameters"]  # the server would resolve it, and store the result
        notes.append("parameters NOT updated: they hold a template; change them on the deployment's page")
    return fields, notes


def _holds_kind(value: object) -> bool:
    if isinstance(value, dict):
        return _KIND in value or any(_holds_kind(inner) for inner in value.values())
    return isinstance(value, list) and any(_holds_kind(inner) for inner in value)


def _clear_limit(deployed: DeploymentResponse) -> tuple[dict[str, Any], list[str]]:
    limit = deployed.global_concurrency_limit
    options: dict[str, Any] = {"concurrency_options": None} if deployed.concurrency_options else {}
    if limit is None:
        return options, []
    note = f"concurrency limit {limit.limit} removed: after a restart of the server it would stop all runs"
    if limit.name == f"deployment:{deployed.id}":
        return options | {"concurrency_limit": None}, [note]
    # One that others may share: with `concurrency_limit` the server would delete it for all of them.
    return options | {"global_concurrency_limit_id": None}, [f"{note} (it still exists as {limit.name})"]


def _find_schedule_changes(
    spec: DeploymentSpec,
    parts: Parts,
    changed: set[Part],
    last: Digests | None,
    deployed: Sequence[DeploymentSchedule],
) -> tuple[list[ScheduleChange], list[str]]:
    described = {schedule.slug: schedule for schedule in spec.schedules}
    existing = {schedule.slug: schedule for schedule in deployed if schedule.slug}
    changes, notes = [], []
    for slug in sorted({part[1] for part in changed if part[0] == "schedules"}):
        now, before = described.get(slug), existing.get(slug)
        if now and before:
            changes.append(_update_schedule(now, before, parts, changed))
        elif before:
            changes.append(ScheduleChange("deleted", slug, before.id))
        elif now and slug not in described_slugs(last):
            changes.append(ScheduleChange("created", slug, None, now.schedule, now.active, now.parameters))
        elif now:
            notes.append(f"schedule {slug} was deleted in Prefect, not created again")
    return changes, notes


def _update_schedule(
    spec: ScheduleSpec, before: DeploymentSchedule, parts: Parts, changed: set[Part]
) -> ScheduleChange:
    here = ("schedules", spec.slug)
    return ScheduleChange(
        action="updated",
        slug=spec.slug,
        schedule_id=before.id,
        schedule=spec.schedule if (*here, "schedule") in changed else None,
        active=spec.active if (*here, "active") in changed else None,
        parameters=merge_mapping(before.parameters, parts, changed, *here, "parameters"),
    )
