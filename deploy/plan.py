"""What prefect.yaml describes, deployment by deployment, with the values that `prefect deploy` would set."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from prefect.client.schemas.schedules import SCHEDULE_TYPES
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.templating import apply_values, resolve_variables
from pydantic import TypeAdapter, ValidationError

_MAX_REASON = 300
_IMAGE_FOLDER = "/opt/prefect"  # where Prefect assumes the flows in an image that a job variable names
_SCHEDULE_FIELDS = ("cron", "interval", "rrule", "timezone", "anchor_date", "day_or")
_SUPPORTED = {
    *("name", "entrypoint", "description", "version", "tags", "parameters", "work_pool", "schedules"),
    *("paused", "enforce_parameter_schema", "pull"),
}
_UNSUPPORTED = {
    "concurrency_limit": "after a restart of the server its runs would be cancelled or wait forever",
    "triggers": "every `prefect deploy` would delete and recreate them; create an automation instead",
    "build": "run build steps before `make deploy`",
    "push": "run push steps before `make deploy`",
}


class PlanError(Exception):
    """prefect.yaml describes what `make deploy` does not support; the message says what to change."""


@dataclass(frozen=True)
class ScheduleSpec:
    """A schedule as it is described; `active` is None where prefect.yaml leaves it open."""

    slug: str
    schedule: SCHEDULE_TYPES
    active: bool | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeploymentSpec:
    """A deployment as it is described.

    Attributes:
        name: Flow and deployment, e.g. `protect-snapshots/on-demand`.
        short_name: As prefect.yaml has it; deployments of several flows may share it.
        always: The fields that are never an operator's, named as in Prefect's API. All others may be changed
            by operators, too.
    """

    name: str
    short_name: str
    always: Mapping[str, Any]
    work_pool: str
    work_queue: str | None = None
    tags: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    enforce_parameter_schema: bool = True
    schedules: Sequence[ScheduleSpec] = ()


async def read_plan(root: Path) -> list[DeploymentSpec]:
    """Read prefect.yaml in a folder, and resolve the variables in it as `prefect deploy` does.

    Raises:
        PlanError: It cannot be read, describes something unsupported, or an entrypoint does not load.
    """
    described = _read(root / "prefect.yaml")
    for entry in described["deployments"]:
        _check(entry, described)
    return [await _read_spec(entry, described, root) for entry in described["deployments"]]


def _read(file: Path) -> Mapping[str, Any]:
    try:
        described = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PlanError(f"prefect.yaml cannot be read: {' '.join(str(error).split())}.") from None
    deployments = described.get("deployments") if isinstance(described, dict) else None
    if not (isinstance(deployments, list) and all(isinstance(entry, dict) for entry in deployments)):
        raise PlanError("prefect.yaml has no list of deployments.")
    return dict(described)


def _check(entry: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    where = f"prefect.yaml, deployment {entry.get('name') or 'without a name'}"
    pool = entry.get("work_pool")
    has_pool = isinstance(pool, dict) and pool.get("name")
    required = {"name": entry.get("name"), "entrypoint": entry.get("entrypoint"), "work_pool name": has_pool}
    for key in [key for key, value in required.items() if not value]:
        raise PlanError(f"{where}: {key} is missing.")
    for key in sorted({*entry, *({"build", "push"} & described.keys())} - _SUPPORTED):
        raise PlanError(f"{where}: {key} is not supported: {_UNSUPPORTED.get(key, 'remove it')}.")
    if not all(schedule.get("slug") for schedule in entry.get("schedules") or ()):
        raise PlanError(f"{where}: each schedule needs a slug, by which it is found again.")
    if "prefect.blocks" in str({key: part for key, part in entry.items() if key != "pull"}):
        raise PlanError(
            f"{where}: a block outside of pull steps would be stored in plain text. "
            "Enter the reference on the deployment's page instead."
        )


async def _read_spec(entry: Mapping[str, Any], described: Mapping[str, Any], root: Path) -> DeploymentSpec:
    resolved = await _resolve({key: part for key, part in entry.items() if key != "pull"})
    flow = _load_flow(resolved["entrypoint"], f"prefect.yaml, deployment {entry['name']}")
    pool = resolved["work_pool"]
    variables = pool.get("job_variables") or {}
    always = {
        "entrypoint": resolved["entrypoint"],
        "path": None,
        "pull_steps": _pull_steps(entry, described, variables.get("image"), root),
        "parameter_openapi_schema": parameter_schema(flow).model_dump(mode="json", exclude_unset=True),
        "description": resolved.get("description") or flow.description,
    }
    return DeploymentSpec(
        name=f"{flow.name}/{resolved['name']}",
        short_name=resolved["name"],
        always=always | ({"version": resolved["version"]} if resolved.get("version") else {}),
        work_pool=pool["name"],
        work_queue=pool.get("work_queue_name"),
        tags=resolved.get("tags") or (),
        parameters=resolved.get("parameters") or {},
        job_variables=variables,
        paused=bool(resolved.get("paused")),
        enforce_parameter_schema=resolved.get("enforce_parameter_schema") is not False,
        schedules=[_read_schedule(schedule, entry["name"]) for schedule in resolved.get("schedules") or ()],
    )


def _load_flow(entrypoint: str, where: str) -> Flow[..., Any]:
    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except Exception as error:  # noqa: BLE001 - whatever the module raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_REASON]
        raise PlanError(f"{where}: the entrypoint {entrypoint} does not load: {reason}.") from None


async def _resolve(entry: Mapping[str, Any]) -> dict[str, Any]:
    """In the order of `prefect deploy`, which drops placeholders that nothing resolves."""
    values = dict(os.environ)
    resolved: Any = apply_values(await resolve_variables(dict(entry)), values, remove_notset=False)
    return dict(apply_values(resolved, {}, skip_prefixes=["ctx."]))


def _pull_steps(
    entry: Mapping[str, Any], described: Mapping[str, Any], image: str | None, root: Path
) -> list[dict[str, Any]]:
    """References to blocks stay references here: workers resolve them."""
    common = described.get("pull")
    steps = entry.get("pull", common)
    if steps == []:  # no pull steps on purpose, unlike none described
        return []
    steps = steps or common or _default_pull_step(image, root)
    resolved: Any = apply_values(steps if isinstance(steps, list) else [steps], {}, remove_notset=False)
    return list(resolved)


def _default_pull_step(image: str | None, root: Path) -> dict[str, Any]:
    folder = _IMAGE_FOLDER if image else str(root.resolve())
    return {"prefect.deployments.steps.set_working_directory": {"directory": folder}}


def _read_schedule(entry: Mapping[str, Any], deployment: str) -> ScheduleSpec:
    fields = {key: entry[key] for key in _SCHEDULE_FIELDS if entry.get(key) is not None}
    try:
        schedule: SCHEDULE_TYPES = TypeAdapter(SCHEDULE_TYPES).validate_python(fields)
    except ValidationError as error:
        where = f"prefect.yaml, deployment {deployment}, schedule {entry['slug']}"
        raise PlanError(f"{where}: {error.errors()[0]['msg']}.") from None
    return ScheduleSpec(entry["slug"], schedule, entry.get("active"), entry.get("parameters") or {})
