"""A three-way merge: what the server has, and of prefect.yaml only what it changed since the last deploy."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from deploy.plan import DeploymentSpec
from deploy.record import Digests, digest

Part = tuple[str, ...]
Parts = Mapping[Part, Any]


def describe_parts(spec: DeploymentSpec) -> dict[Part, Any]:
    """Split what operators may change into parts, each of which is merged separately."""
    parts: dict[Part, Any] = {
        ("paused",): spec.paused,
        ("enforce_parameter_schema",): spec.enforce_parameter_schema,
        ("work_pool",): [spec.work_pool, spec.work_queue],
    }
    parts |= {("tags", tag): tag for tag in spec.tags}
    parts |= {("parameters", *path): value for path, value in _leaves(spec.parameters)}
    parts |= {("job_variables", *path): value for path, value in _leaves(spec.job_variables)}
    for schedule in spec.schedules:
        here = ("schedules", schedule.slug)
        parts[(*here, "schedule")] = schedule.schedule.model_dump(mode="json")
        parts[(*here, "parameters")] = schedule.parameters
        parts[(*here, "active")] = schedule.active
    return parts


def digest_parts(parts: Parts) -> Digests:
    """Digests by part; a part's names as JSON, since names may hold any character."""
    return {json.dumps(part): digest(value) for part, value in parts.items()}


def changed_parts(parts: Parts, last: Digests | None) -> set[Part]:
    """Find what prefect.yaml added, changed or removed; nothing if no one knows what it was before."""
    if last is None:
        return set()
    now = digest_parts(parts)
    return {tuple(json.loads(key)) for key in now.keys() | last.keys() if now.get(key) != last.get(key)}


def described_slugs(last: Digests | None) -> set[str]:
    """The slugs of the schedules that prefect.yaml described at the last deploy."""
    parts = (json.loads(key) for key in last or {})
    return {part[1] for part in parts if part[0] == "schedules"}


def merge_mapping(
    deployed: Mapping[str, Any], parts: Parts, changed: set[Part], field: str
) -> dict[str, Any]:
    """Apply the changed parts of a field to what the server has; all else stays as it is there."""
    merged = deepcopy(dict(deployed))
    for part in sorted(changed):
        if part[0] == field:
            _set(merged, part[1:], parts.get(part), remove=part not in parts)
    return merged


def merge_tags(deployed: list[str], parts: Parts, changed: set[Part]) -> list[str]:
    """Add the tags that prefect.yaml added, remove those that it removed."""
    removed = {part[1] for part in changed if part[0] == "tags" and part not in parts}
    added = [part[1] for part in parts if part[0] == "tags" and part in changed]
    stay = [tag for tag in deployed if tag not in removed]
    return stay + [tag for tag in added if tag not in stay]


def _leaves(mapping: Mapping[str, Any]) -> Iterator[tuple[Part, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from (((key, *path), leaf) for path, leaf in _leaves(value))
        else:
            yield (key,), value


def _set(mapping: dict[str, Any], path: Part, value: object, *, remove: bool) -> None:
    for key in path[:-1]:
        inner = mapping.setdefault(key, {}) if not remove else mapping.get(key)
        if not isinstance(inner, dict):  # an operator's, of another shape
            return
        mapping = inner
    if remove:
        mapping.pop(path[-1], None)
    else:
        mapping[path[-1]] = value
