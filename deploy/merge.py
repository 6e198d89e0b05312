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
        # Without an anchor date, Prefect takes the time at which prefect.yaml is read.
        unset = {"anchor_date"} - schedule.schedule.model_fields_set
        parts[(*here, "schedule")] = schedule.schedule.model_dump(mode="json", exclude=unset)
        parts[(*here, "active")] = schedule.active
        parts |= {(*here, "parameters", *path): value for path, value in _leaves(schedule.parameters)}
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


def replaced_parts(deployed: Parts, parts: Parts, changed: set[Part], last: Digests | None) -> list[str]:
    """Find the changed parts that an operator has set to something else since the last deploy."""
    theirs = digest_parts({part: deployed[part] for part in changed & deployed.keys()})
    known = digest_parts({part: parts[part] for part in changed & parts.keys()})
    differing = [key for key, value in theirs.items() if value not in ((last or {}).get(key), known.get(key))]
    paths = sorted(tuple(json.loads(key)) for key in differing)
    return [".".join(map(str, path)) for path in paths if path[-1] != "active" or parts.get(path) is not None]


def merge_mapping(
    deployed: Mapping[str, Any], parts: Parts, changed: set[Part], *field: str
) -> dict[str, Any]:
    """Apply the changed parts of a field to what the server has; all else stays as it is there."""
    merged = deepcopy(dict(deployed))
    inside = sorted(part for part in changed if part[: len(field)] == field)
    for part in inside:  # first, so that a value can replace a mapping of which nothing is left
        if part not in parts:
            _remove(merged, part[len(field) :])
    for part in inside:
        if part in parts:
            _set(merged, part[len(field) :], parts[part])
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


def _remove(mapping: dict[str, Any], path: Part) -> None:
    name, *rest = path
    inner = mapping.get(name)
    if not rest:
        if not (inner and isinstance(inner, dict)):  # what is in a mapping is an operator's
            mapping.pop(name, None)
    elif isinstance(inner, dict):
        _remove(inner, tuple(rest))
        if not inner:
            del mapping[name]


def _set(mapping: dict[str, Any], path: Part, value: object) -> None:
    for name in path[:-1]:
        inner = mapping.setdefault(name, {})
        if not isinstance(inner, dict):  # an operator's, of another shape
            return
        mapping = inner
    now = mapping.get(path[-1])
    if not (now and isinstance(now, dict)):  # what is in a mapping is an operator's
        mapping[path[-1]] = value
