"""Which settings of operators were edited or reset since the last `make deploy`. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect.client.schemas.responses import DeploymentResponse

from deploy.plan import DeploymentSpec
from deploy.record import Digests, digest

# In the events of an update the server names them as its database does.
_NAMES_IN_EVENTS = {"infra_overrides": "job_variables", "work_queue_id": "work_pool"}
_IDS = "schedule_ids"  # there is no event when `prefect deploy` deletes the schedules and recreates its own


@dataclass(frozen=True)
class Drift:
    """Fields that are not what they were: those now as prefect.yaml describes them, and all others."""

    reset: Sequence[str] = ()
    edited: Sequence[str] = ()


def digest_settings(deployed: DeploymentResponse) -> Digests:
    """Digests of the fields that operators may change."""
    return {name: digest(value) for name, value in _settings(deployed).items()} | {
        _IDS: _digest_ids(deployed)
    }


def digest_described(spec: DeploymentSpec) -> Digests:
    """Digests of the same fields, as prefect.yaml describes them."""
    described = {name: digest(value) for name, value in _described(spec).items()}
    return described | {_IDS: digest([schedule.slug for schedule in spec.schedules])}


def find_drift(
    spec: DeploymentSpec, last: Digests, deployed: DeploymentResponse, updates: Iterable[Sequence[str]]
) -> Drift:
    """Compare a deployment with the last `make deploy`.

    Args:
        spec: What prefect.yaml describes.
        last: The digests of its fields then.
        deployed: What the server has.
        updates: The fields of each update since then, as events name them: they reveal what was edited since
            then and is reset already. One of `paused` alone is an operator's pause and resume.
    """
    now, described = _settings(deployed), _described(spec)
    differing = {name for name, value in now.items() if digest(value) != last.get(name)}
    if deployed.work_pool_name is None:  # its work pool was deleted
        differing.discard("work_pool")
    recreated = {"schedules"} if _digest_ids(deployed) != last.get(_IDS) else set()
    updated = recreated | {
        _NAMES_IN_EVENTS.get(name, name) for fields in updates if set(fields) != {"paused"} for name in fields
    }
    reset = tuple(name for name in now if name in differing | updated and now[name] == described[name])
    return Drift(reset, tuple(name for name in now if name in differing and name not in reset))


def _settings(deployed: DeploymentResponse) -> dict[str, Any]:
    schedules = [
        [item.slug, item.schedule.model_dump(mode="json"), item.active, item.parameters]
        for item in deployed.schedules
    ]
    return {
        "parameters": deployed.parameters,
        "tags": deployed.tags,
        "job_variables": deployed.job_variables,
        "paused": deployed.paused,
        "enforce_parameter_schema": deployed.enforce_parameter_schema,
        "work_pool": [deployed.work_pool_name, deployed.work_queue_name],
        "schedules": _sorted(schedules),
    }


def _digest_ids(deployed: DeploymentResponse) -> str:
    return digest({item.slug: str(item.id) for item in deployed.schedules if item.slug})


def _described(spec: DeploymentSpec) -> Mapping[str, Any]:
    schedules = [
        [item.slug, item.schedule.model_dump(mode="json"), item.active is not False, dict(item.parameters)]
        for item in spec.schedules
    ]
    return {
        "parameters": spec.parameters,
        "tags": list(spec.tags),
        "job_variables": spec.job_variables,
        "paused": spec.paused,
        "enforce_parameter_schema": spec.enforce_parameter_schema,
        "work_pool": [spec.work_pool, spec.work_queue or "default"],
        "schedules": _sorted(schedules),
    }


def _sorted(schedules: list[list[Any]]) -> list[list[Any]]:
    return sorted(schedules, key=digest)
