"""Whatever operators changed, and prefect.yaml did not, stays exactly; the rest is as in prefect.yaml."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.changes import find_changes
from deploy.merge import describe_parts, digest_parts
from deploy.plan import DeploymentSpec, ScheduleSpec
from tests.support.deployment_specs import CRON, SPEC, deployed, schedule

_MISSING = "missing"
_names = st.sampled_from(["a", "b", "é"])
_values: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, 1, 2, "{{ x }}", ()]).map(lambda value: [] if value == () else value),
    lambda inner: st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)
_mappings = st.dictionaries(_names, _values, max_size=3)


def leaves(mapping: Mapping[str, Any], *above: str) -> Iterator[tuple[str, ...]]:
    for name, value in mapping.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, *above, name)
        else:
            yield (*above, name)


def at(mapping: Any, path: tuple[str, ...]) -> Any:
    """What is there; nothing in a mapping that is empty, null or not there is the same."""
    for name in path:
        if not isinstance(mapping or {}, dict):
            return ("in a value", mapping)
        mapping = (mapping or {}).get(name, _MISSING) if mapping != _MISSING else _MISSING
    return mapping


def without_empty(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: without_empty(each) for name, each in value.items()}
    return {name: each for name, each in inner.items() if each != {}}


def merge(field: str, last: dict[str, Any], now: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Deploy: what prefect.yaml had and has, and what the server has, to what the server has then."""
    described = [_describe(field, each) for each in (last, now)]
    schedules = [schedule("s", parameters=theirs)] if field == "schedules" else []
    on_server = deployed(**({field: theirs} | {"schedules": schedules}))
    found = find_changes(described[1], digest_parts(describe_parts(described[0])), on_server)
    if field == "schedules":
        return dict(found.schedules[0].parameters) if found.schedules else theirs
    return dict(found.fields.get(field, theirs))


def _describe(field: str, value: dict[str, Any]) -> DeploymentSpec:
    fields: dict[str, Any] = {"schedules": []}
    fields[field] = [ScheduleSpec("s", CRON, None, value)] if field == "schedules" else value
    return replace(SPEC, **fields)


_fields = st.sampled_from(["parameters", "job_variables", "schedules"])


@given(_fields, _mappings, _mappings, _mappings)
def test_whatever_an_operator_set_stays_exactly_when_prefect_yaml_did_not_change_it(
    field: str, last: dict[str, Any], now: dict[str, Any], theirs: dict[str, Any]
) -> None:
    merged = merge(field, last, now, theirs)
    for path in leaves(theirs):
        if at(last, path) == at(now, path):
            assert at(merged, path) == at(theirs, path), path


@given(_fields, _mappings, _mappings)
def test_all_is_as_prefect_yaml_has_it_when_no_operator_changed_it(
    field: str, last: dict[str, Any], now: dict[str, Any]
) -> None:
    assert without_empty(merge(field, last, now, last)) == without_empty(now)


def test_the_environment_of_an_operator_stays_when_prefect_yaml_begins_or_ends_to_describe_some() -> None:
    theirs = {"env": {"MINE": "1"}}
    assert merge("job_variables", {"env": {}}, {"env": {"A": 1}}, theirs) == {"env": {"MINE": "1", "A": 1}}
    for nothing in [dict[str, Any](), {"env": {}}, {"env": None}]:
        both = {"env": {"MINE": "1", "A": 1}}
        assert merge("job_variables", {"env": {"A": 1}}, nothing, both) == theirs


def test_the_parameters_of_a_schedule_that_an_operator_added_stay_when_prefect_yaml_changes_another() -> None:
    merged = merge("schedules", {"hours": 1}, {"hours": 2}, {"hours": 1, "label": "{{ x }}"})
    assert merged == {"hours": 2, "label": "{{ x }}"}
