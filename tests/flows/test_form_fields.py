"""What the UI's forms and the API know of each parameter: its bounds, and its place."""

from collections.abc import Callable
from typing import Any

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate

from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_on_workers import protect_on_workers
from flows.protect_snapshots import protect_snapshots
from flows.prune_snapshots import prune_snapshots
from flows.unprotect_snapshots import unprotect_snapshots
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.validation import validate_timeout
from snapshot_protection import parameters

FLOWS: list[Flow[..., Any]] = [
    audit_snapshot_protection,
    protect_on_workers,
    protect_snapshots,
    prune_snapshots,
    unprotect_snapshots,
]
NEEDED = {"project": "prod", "image_ids": [1], "reason": "a reason that is long enough"}
Validate = Callable[[Any], object]
BOUNDED: list[tuple[Flow[..., Any], str, Validate, list[Any], list[Any]]] = [
    (protect_snapshots, "timeout_seconds", validate_timeout, [0.1, 900], [0, -1]),
    (protect_on_workers, "timeout_seconds", validate_timeout, [0.1, 900], [0, -1]),
    (
        protect_on_workers,
        "projects_per_run",
        lambda value: parameters.validate_count(value, "projects", least=0),
        [0, 1, 10],
        [-1],
    ),
    (
        protect_on_workers,
        "max_concurrent_runs",
        lambda value: parameters.validate_count(value, "runs"),
        [1, 4],
        [0, -1],
    ),
    (audit_snapshot_protection, "grace_hours", parameters.validate_grace, [0, 24.5], [-0.1]),
    (prune_snapshots, "timeout_seconds", validate_timeout, [0.1, 900], [0, -1]),
    (prune_snapshots, "quarantine_days", parameters.validate_quarantine_days, [0, 7], [-0.1]),
    (prune_snapshots, "max_deletions", parameters.validate_max_deletions, [1, 10], [0, -1]),
    (unprotect_snapshots, "timeout_seconds", validate_timeout, [0.1, 900], [0, -1]),
    (unprotect_snapshots, "hours", parameters.validate_exemption_hours, [0.1, 168], [0, -1, 168.5]),
    (unprotect_snapshots, "image_ids", parameters.validate_image_ids, [[1], [1, 2]], [[]]),
    (unprotect_snapshots, "reason", parameters.validate_reason, ["ten chars."], ["short", ""]),
]
CASES = pytest.mark.parametrize(
    ("flow", "name", "validator", "right", "wrong"),
    BOUNDED,
    ids=[f"{flow.name}-{name}" for flow, name, *_ in BOUNDED],
)


def schema_of(flow: Flow[..., Any]) -> dict[str, Any]:
    return parameter_schema(flow).model_dump_for_openapi()


def with_value(flow: Flow[..., Any], name: str, value: object) -> dict[str, Any]:
    needed = NEEDED if flow is unprotect_snapshots else {}
    return {**needed, name: value}


@CASES
def test_the_form_accepts_what_the_flow_accepts_and_rejects_what_it_rejects(
    flow: Flow[..., Any], name: str, validator: Validate, right: list[Any], wrong: list[Any]
) -> None:
    schema = schema_of(flow)
    for value in right:
        validator(value)
        assert not validate(with_value(flow, name, value), schema)
    for value in wrong:
        with pytest.raises(InvalidArgumentError):
            validator(value)
        assert validate(with_value(flow, name, value), schema)


@CASES
def test_prefect_leaves_a_wrong_value_to_the_flow_where_the_schema_is_skipped(
    flow: Flow[..., Any], name: str, validator: Validate, right: list[Any], wrong: list[Any]
) -> None:
    for value in wrong:
        assert flow.validate_parameters(with_value(flow, name, value))[name] == value


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_number_in_a_form_has_a_bound(flow: Flow[..., Any]) -> None:
    numbers = {
        name: field
        for name, field in schema_of(flow)["properties"].items()
        if field["type"] in {"number", "integer"}
    }
    assert not [name for name, field in numbers.items() if not field.keys() & {"minimum", "exclusiveMinimum"}]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_dry_run_is_the_first_optional_parameter_of_a_form_that_has_it(flow: Flow[..., Any]) -> None:
    schema = schema_of(flow)
    fields = schema["properties"]
    optional = sorted(
        set(fields) - set(schema.get("required", ())), key=lambda name: fields[name]["position"]
    )
    assert optional[0] == "dry_run" or "dry_run" not in fields
