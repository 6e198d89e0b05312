"""The automation is created once and belongs to its operator from then on."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.variables import Variable

from playground.server import PrefectServer
from tests.e2e.test_deployment import PROTECT, deployed
from tests.support.deploys import JINJA, RECORD, deploy_from, find_automation

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
            assert lines[1].endswith("; to create it: python -m deploy --recreate-automation")
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
