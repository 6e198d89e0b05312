"""What operators have set outlives every deploy; each case is one in which 0.4.0 lost some of it."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.variables import Variable

from deploy.record import load_record
from playground.server import PrefectServer
from tests.support.deploying import (
    OPERATORS,
    RECORD,
    RENAMED,
    cron_of,
    delete_record,
    deploy_as_0_4_0,
    deploy_from,
    edit,
    find_automation,
    line_of,
    new_version,
    operators_settings,
    set_by_operator,
    start_deploy,
)
from tests.support.deployments import AUDIT, BATCH, FAN_OUT, PROTECT, deployed
from tests.support.fixtures import TOKEN
from tests.support.token_scan import checkpoint, places_with_the_token

pytestmark = [pytest.mark.usefixtures("nothing_deployed"), pytest.mark.e2e]


def assert_nothing_resolved(server: PrefectServer) -> None:
    checkpoint(server.log.parent)
    assert not list(places_with_the_token(server.log.parent))


async def test_a_a_second_schedule_and_all_that_operators_set_stays_when_prefect_yaml_changes(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    await set_by_operator()
    new_version(checkout, 9)
    edit(checkout, "15 4 * * *", "45 5 * * *")
    lines = deploy_from(checkout, prefect_api)
    assert await operators_settings() == OPERATORS
    assert await cron_of("nightly") == "45 5 * * *"
    assert (await deployed(AUDIT))["version"].startswith("9.")
    assert line_of(lines, AUDIT).startswith("updated (version, schedule nightly updated)")
    assert line_of(lines, PROTECT).startswith("updated (version); edited in Prefect and kept: tags, paused")
    lines = deploy_from(checkout, prefect_api)
    assert [line_of(lines, name) for name in (AUDIT, PROTECT, BATCH, FAN_OUT)] == ["unchanged"] * 4
    assert await operators_settings() == OPERATORS
    assert_nothing_resolved(prefect_api)


async def test_c_an_automation_that_was_renamed_and_enabled_stays_when_prefect_yaml_changes(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    automation_id = await set_by_operator()
    new_version(checkout, 9)
    edit(checkout, "Protects every snapshot from deletion, waits", "Protects each snapshot, waits")
    lines = deploy_from(checkout, prefect_api)
    assert (await find_automation()).id == automation_id
    assert await operators_settings() == OPERATORS
    assert 'automation "Protect at once, and tell the team": already exists, enabled, unchanged' in lines


_OTHER_RECORDS = ("of 0.4.0", "not ours", "of a later version")


@pytest.mark.parametrize(
    "record", ["lost", *(pytest.param(one, marks=pytest.mark.reliability) for one in _OTHER_RECORDS)]
)
async def test_d_everything_stays_when_the_record_is(
    prefect_api: PrefectServer, checkout: Path, record: str
) -> None:
    if record == "of 0.4.0":
        await deploy_as_0_4_0(checkout, prefect_api)
    else:
        deploy_from(checkout, prefect_api)
    await set_by_operator()
    async with get_client() as client:
        if record == "lost" and await client.read_variable_by_name(RECORD):
            await delete_record(client)
    if record == "not ours":
        await Variable.aset(RECORD, "what?", overwrite=True)
    if record == "of a later version":
        await Variable.aset(RECORD, {"format": 3, "deployments": {AUDIT: "?"}}, overwrite=True)
    new_version(checkout, 9)
    edit(checkout, "tags: [hetzner-cloud]", "tags: [hetzner]")
    deploy_from(checkout, prefect_api)
    assert await operators_settings() == OPERATORS
    assert (await deployed(AUDIT))["version"].startswith("9.")
    automation = await find_automation()
    edit(checkout, "tags: [hetzner]", "tags: [other]")
    deploy_from(checkout, prefect_api)  # with the record written again, what prefect.yaml changes arrives
    assert (await deployed(AUDIT))["tags"] == ["mine", "other"]
    assert (await find_automation()) == automation
    assert await operators_settings() == OPERATORS | {
        "tags": ["mine", "other"],
        "tags of on-demand": ["hetzner-cloud", "b", "other"],
    }
    assert_nothing_resolved(prefect_api)


@pytest.mark.parametrize("when", ["at once", pytest.param("a moment later", marks=pytest.mark.reliability)])
async def test_e_everything_stays_when_two_deploys_run_side_by_side(
    prefect_api: PrefectServer, checkout: Path, when: str
) -> None:
    deploy_from(checkout, prefect_api)
    await set_by_operator()
    new_version(checkout, 9)
    edit(checkout, "15 4 * * *", "45 5 * * *")
    first = start_deploy(checkout, prefect_api)
    if when == "a moment later":
        assert first.stdout
        first.stdout.readline()  # the work pool: its writes come next
    second = start_deploy(checkout, prefect_api)
    for process in (first, second):
        output, _ = process.communicate()
        assert process.returncode == 0, output
    assert await operators_settings() == OPERATORS
    assert await cron_of("nightly") == "45 5 * * *"
    lines = deploy_from(checkout, prefect_api)
    assert [line_of(lines, name) for name in (AUDIT, PROTECT, BATCH, FAN_OUT)] == ["unchanged"] * 4


async def test_e_two_deploys_to_an_empty_server_create_everything_once(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    both = [start_deploy(checkout, prefect_api) for _ in range(2)]
    for process in both:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    automation = await find_automation()
    lines = deploy_from(checkout, prefect_api)
    assert [line_of(lines, name) for name in (AUDIT, PROTECT, BATCH, FAN_OUT)] == ["unchanged"] * 4
    assert 'automation "Protect unprotected snapshots": already exists, disabled, unchanged' in lines
    assert await find_automation() == automation


async def test_e_an_automation_of_0_4_0_is_one_when_two_deploys_take_it_over(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    await deploy_as_0_4_0(checkout, prefect_api)
    owned = await set_by_operator()
    both = [start_deploy(checkout, prefect_api) for _ in range(2)]
    for process in both:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    automation = await find_automation()
    assert automation.id != owned
    assert await operators_settings() == OPERATORS
    lines = deploy_from(checkout, prefect_api)
    assert 'automation "Protect at once, and tell the team": already exists, enabled, unchanged' in lines
    assert await find_automation() == automation


async def test_f_a_deployment_that_prefect_yaml_no_longer_names_is_reported_and_stays(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    await set_by_operator()
    edit(checkout, "name: batch", "name: piece")
    for _ in range(2):
        lines = deploy_from(checkout, prefect_api)
        assert line_of(lines, BATCH).endswith(f"to delete it: prefect deployment delete {BATCH}")
    assert (await deployed(BATCH))["name"] == "batch"
    assert await operators_settings() == OPERATORS
    async with get_client() as client:
        await delete_record(client)  # found by the flow that it runs
    assert "to delete it" in line_of(deploy_from(checkout, prefect_api), BATCH)


@pytest.mark.parametrize("deployed_between", [True, pytest.param(False, marks=pytest.mark.reliability)])
async def test_g_settings_that_a_bare_prefect_deploy_has_reset_are_reported(
    prefect_api: PrefectServer, checkout: Path, *, deployed_between: bool
) -> None:
    deploy_from(checkout, prefect_api)
    automation_id = await set_by_operator()
    if deployed_between:
        lines = deploy_from(checkout, prefect_api)
        assert "edited in Prefect and kept: parameters, tags, job_variables" in line_of(lines, AUDIT)
        assert await operators_settings() == OPERATORS
    deploy_from(checkout, prefect_api, "prefect", "--no-prompt", "deploy", "--all")
    lines = deploy_from(checkout, prefect_api)
    assert line_of(lines, AUDIT).startswith("unchanged; CHECK parameters, tags, job_variables, schedules")
    assert line_of(lines, PROTECT).startswith("unchanged; CHECK tags, paused: changed since")
    automation = await find_automation()
    assert (automation.id, automation.name, automation.enabled) == (automation_id, RENAMED, True)
    lines = deploy_from(checkout, prefect_api)
    assert [line_of(lines, name) for name in (AUDIT, PROTECT)] == ["unchanged", "unchanged"]


async def test_no_value_is_recorded(prefect_api: PrefectServer, checkout: Path) -> None:
    deploy_from(checkout, prefect_api)
    await set_by_operator()
    deploy_from(checkout, prefect_api)
    async with get_client() as client:
        record = (await load_record(client)).model_dump_json()
    assert AUDIT in record
    assert not [value for value in ("mine", "{{", "prefect.blocks", TOKEN, "0 12") if value in record]
    assert len(str(await Variable.aget(RECORD))) < 1_500  # of 5,000 that a variable holds


async def test_nothing_is_changed_when_the_record_would_be_too_large_to_be_stored(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    before = await deployed(AUDIT)
    more = "".join(f'        SETTING_NUMBER_{number}: "1"\n' for number in range(200))
    edit(checkout, "      env:\n", f"      env:\n{more}")
    new_version(checkout, 9)
    process = start_deploy(checkout, prefect_api)
    output, _ = process.communicate()
    assert await deployed(AUDIT) == before
    assert process.returncode == 1
    assert output.startswith("prefect.yaml describes too much: its record is ")
    assert output.count("\n") == 1
