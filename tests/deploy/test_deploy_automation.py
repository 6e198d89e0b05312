"""The automation is created once and belongs to its operator from then on."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import Automation
from prefect.variables import Variable

import deploy.automation
from deploy.automation import describe_automation, ensure_automation
from deploy.record import Record
from playground.server import PrefectServer
from tests.support.deploying import JINJA, RECORD, deploy_from, find_automation
from tests.support.deployments import PROTECT, deployed

pytestmark = [pytest.mark.usefixtures("nothing_deployed"), pytest.mark.e2e]


AUTOMATION = 'automation "Protect unprotected snapshots"'


async def test_an_automation_that_was_deleted_stays_so_until_it_is_asked_for(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    first = await find_automation()
    async with get_client() as client:
        await client.delete_automation(first.id)
        for _ in range(2):
            lines = deploy_from(checkout, prefect_api)
            assert lines[1].endswith("; to create it: hetzner-snapshots deploy --recreate-automation")
            assert not await client.read_automations()
    deploy_from(checkout, prefect_api, "deploy", "--recreate-automation")
    created = await find_automation()
    assert (created.name, created.enabled) == ("Protect unprotected snapshots", False)
    assert created.actions[0].model_dump()["parameters"] == JINJA
    deploy_from(checkout, prefect_api)
    assert await find_automation() == created


@pytest.mark.parametrize("record_is_lost", [False, True])
async def test_an_automation_runs_the_new_deployment_when_the_old_one_was_deleted(
    prefect_api: PrefectServer, checkout: Path, *, record_is_lost: bool
) -> None:
    deploy_from(checkout, prefect_api)
    automation = await find_automation()
    async with get_client() as client:
        await client.resume_automation(automation.id)
        await client.delete_deployment((await client.read_deployment_by_name(PROTECT)).id)
        if record_is_lost:
            await Variable.aunset(RECORD)
    lines = deploy_from(checkout, prefect_api)
    assert f"{AUTOMATION}: enabled; ran a deleted deployment, runs {PROTECT} again" in lines
    now = await find_automation()
    assert (now.id, now.enabled) == (automation.id, True)
    action = now.actions[0].model_dump(mode="json")
    assert (action["deployment_id"], action["parameters"]) == ((await deployed(PROTECT))["id"], JINJA)


async def test_what_ran_a_deleted_deployment_of_an_operator_never_runs_protect_snapshots_instead() -> None:
    async with get_client() as client:
        flow_id = await client.create_flow_from_name("theirs")
        protect, theirs = [await client.create_deployment(flow_id, name) for name in ("ours", "theirs")]
        core = describe_automation(theirs)
        core.actions[0].parameters = {"team": "on call"}  # type: ignore[union-attr]  # one that has them
        await client.create_automation(core)
        await client.delete_deployment(theirs)
        before = await find_automation()
        ensured = await ensure_automation(client, protect, Record())
        assert ensured.message.startswith("created, disabled")
        automations = await client.read_automations()
        assert before in automations
        [created] = [item for item in automations if item.id == ensured.automation_id]
        both = describe_automation(protect)
        both.actions.append(core.actions[0])
        await client.update_automation(created.id, both)
        with_both = await client.read_automation(created.id)
        await ensure_automation(client, protect, Record())
        assert await client.read_automation(created.id) == with_both


async def test_a_double_that_another_deploy_has_just_deleted_is_no_error(
    prefect_api: PrefectServer, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_from(checkout, prefect_api)
    async with get_client() as client:
        protect = (await client.read_deployment_by_name(PROTECT)).id
        await client.create_automation(describe_automation(protect))
        known = await client.read_automations()

        async def fetch_then_lose(*_: object) -> list[Automation]:
            for automation in known:
                await client.delete_automation(automation.id)
            return known

        monkeypatch.setattr(deploy.automation, "_fetch_related", fetch_then_lose)
        await deploy.automation._drop_doubles(client, protect)
        assert len(known) == 2
        assert not await client.read_automations()
