"""From prefect.yaml, the record and what the server has to changes: without a server."""

from dataclasses import replace
from typing import Any

import pytest
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

from deploy.changes import Changes, ScheduleChange, find_changes
from deploy.drift import Drift, digest_settings, find_drift
from deploy.merge import describe_parts, digest_parts
from deploy.plan import DeploymentSpec, ScheduleSpec
from deploy.report import format_deployment
from tests.support.deployment_specs import CRON, SPEC, deployed, schedule

LATER = CronSchedule(cron="45 5 * * *", timezone="UTC")
NOON = CronSchedule(cron="0 12 * * *", timezone="UTC")


def changes(spec: DeploymentSpec, on_server: DeploymentResponse, *, known: bool = True) -> Changes:
    return find_changes(spec, digest_parts(describe_parts(SPEC)) if known else None, on_server)


THEIRS = {
    "tags": ["mine"],
    "parameters": {"hours": 9, "label": "{{ x }}"},
    "job_variables": {"env": {"A": "2", "B": "{{ prefect.blocks.secret.b }}"}},
    "paused": True,
    "work_pool_name": "other",
    "schedules": [schedule(None, LATER), schedule("nightly", LATER, active=False)],
}


@pytest.mark.parametrize("known", [True, False])
def test_nothing_is_changed_when_only_operators_have_changed_it(*, known: bool) -> None:
    assert changes(SPEC, deployed(**THEIRS), known=known) == Changes({})


def test_nothing_of_an_operator_s_is_changed_when_no_record_says_what_was_deployed() -> None:
    spec = replace(SPEC, always={**SPEC.always, "version": "2"}, tags=["new"], parameters={}, schedules=[])
    assert changes(spec, deployed(**THEIRS), known=False) == Changes({"version": "2"})


@pytest.mark.parametrize(
    ("described", "fields"),
    [
        ({"tags": ["new", "ours"]}, {"tags": ["mine", "new"]}),
        ({"tags": []}, {}),
        ({"parameters": {"hours": 2}}, {"parameters": {"hours": 2, "label": "{{ x }}"}}),
        ({"parameters": {}}, {"parameters": {"label": "{{ x }}"}}),
        (
            {"job_variables": {"env": {"A": "3"}}},
            {"job_variables": {"env": {"A": "3", "B": "{{ prefect.blocks.secret.b }}"}}},
        ),
        (
            {"job_variables": {"env": {"A": "1"}, "image": "i"}},
            {"job_variables": {"env": {"A": "2", "B": "{{ prefect.blocks.secret.b }}"}, "image": "i"}},
        ),
        ({"work_pool": "third"}, {"work_pool_name": "third"}),
        ({"work_queue": "q"}, {"work_pool_name": "pool", "work_queue_name": "q"}),
        ({"enforce_parameter_schema": False}, {"enforce_parameter_schema": False}),
    ],
)
def test_what_prefect_yaml_changed_is_merged(described: dict[str, Any], fields: dict[str, Any]) -> None:
    found = changes(replace(SPEC, **described), deployed(**THEIRS))
    assert replace(found, replaced=()) == Changes(fields)


REPLACED = "CHECK {}: your setting was replaced: prefect.yaml has changed"


@pytest.mark.parametrize(
    ("described", "name"),
    [
        ({"parameters": {"hours": 2}}, "parameters.hours"),
        ({"parameters": {}}, "parameters.hours"),
        ({"job_variables": {"env": {"A": "3"}}}, "job_variables.env.A"),
        ({"work_pool": "third"}, "work_pool"),
        ({"schedules": [ScheduleSpec("nightly", NOON)]}, "schedules.nightly.schedule"),
        ({"schedules": [ScheduleSpec("nightly", CRON, active=True)]}, "schedules.nightly.active"),
        ({"schedules": []}, "schedules.nightly.schedule"),
    ],
)
def test_what_an_operator_set_is_called_replaced_when_prefect_yaml_changes_it(
    described: dict[str, Any], name: str
) -> None:
    found = changes(replace(SPEC, **described), deployed(**THEIRS))
    assert REPLACED.format(name) in format_deployment(found, Drift(), created=False).split("; ")
    assert not changes(replace(SPEC, **described), deployed()).replaced


def test_a_setting_is_not_called_kept_when_it_was_replaced() -> None:
    found = changes(replace(SPEC, work_pool="third"), deployed(**THEIRS))
    drift = Drift(edited=["work_pool", "tags"])
    assert format_deployment(found, drift, created=False) == (
        f"updated (work_pool); {REPLACED.format('work_pool')}; edited in Prefect and otherwise kept: tags"
    )


def test_parameters_with_a_template_that_the_server_would_resolve_are_not_sent() -> None:
    theirs = {"hours": [{"__prefect_kind": "jinja", "template": "{{ 1 }}"}]}
    found = changes(replace(SPEC, parameters={"hours": 2, "more": 1}), deployed(parameters=theirs))
    assert found.fields == {}
    assert found.notes[0].startswith("parameters NOT updated")


def test_a_value_of_another_shape_is_not_replaced() -> None:
    spec = replace(SPEC, job_variables={"env": {"A": "3"}})
    assert changes(spec, deployed(job_variables={"env": "{{ prefect.variables.env }}"})) == Changes({})


def test_a_schedule_is_changed_by_its_id_and_keeps_whether_it_is_active_and_its_parameters() -> None:
    before = schedule("nightly", active=False, parameters={"label": "{{ x }}"})
    found = changes(
        replace(SPEC, schedules=[ScheduleSpec("nightly", LATER)]),
        deployed(schedules=[schedule(None), before, schedule("theirs")]),
    )
    expected = ScheduleChange(
        "updated", "nightly", before.id, LATER, active=None, parameters={"label": "{{ x }}"}
    )
    assert found == Changes({}, (expected,))


def test_a_schedule_is_switched_when_prefect_yaml_says_so() -> None:
    before = schedule("nightly")
    found = changes(
        replace(SPEC, schedules=[ScheduleSpec("nightly", CRON, active=False)]), deployed(schedules=[before])
    )
    assert found.schedules == (ScheduleChange("updated", "nightly", before.id, None, active=False),)


def test_an_interval_that_an_operator_changed_stays_when_prefect_yaml_has_no_anchor_date_for_it() -> None:
    read_at_1, read_at_2, theirs = [
        IntervalSchedule.model_validate({"interval": seconds}) for seconds in (3600, 3600, 7200)
    ]
    spec = replace(SPEC, schedules=[ScheduleSpec("hourly", read_at_1)])
    last = digest_parts(describe_parts(replace(SPEC, schedules=[ScheduleSpec("hourly", read_at_2)])))
    on_server = deployed(schedules=[DeploymentSchedule(slug="hourly", schedule=theirs)])
    assert find_changes(spec, last, on_server) == Changes({})


def test_a_setting_is_called_reset_only_when_it_is_as_prefect_yaml_says() -> None:
    last = digest_settings(deployed(tags=["mine"], parameters={"hours": 9}, paused=True))
    now = deployed(parameters={"hours": 7}, paused=True)
    assert find_drift(SPEC, last, now, []) == Drift(reset=("tags", "schedules"), edited=("parameters",))


@pytest.mark.parametrize(
    ("updates", "reset"),
    [
        ([["tags", "parameters", "pull_steps"]], ["parameters", "tags"]),
        ([["infra_overrides"]], ["job_variables"]),
        ([["paused"]], []),
        ([["paused", "tags"]], ["tags", "paused"]),
    ],
)
def test_a_setting_that_was_changed_and_reset_in_between_is_called_reset(
    updates: list[list[str]], reset: list[str]
) -> None:
    now = deployed()
    assert find_drift(SPEC, digest_settings(now), now, updates) == Drift(reset=tuple(reset))


def test_a_line_says_what_was_changed_kept_and_reset() -> None:
    done = Changes(
        {"work_queue_name": "q", "work_pool_name": "p", "concurrency_limit": None},
        [ScheduleChange("updated", "nightly")],
        ["concurrency limit 3 removed"],
    )
    assert format_deployment(done, Drift(edited=["tags"]), created=False) == (
        "updated (work_pool, schedule nightly updated); concurrency limit 3 removed; "
        "edited in Prefect and kept: tags"
    )
