"""Schedules are changed by id; concurrency limits are removed."""

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import (
    DeploymentUpdate,
    GlobalConcurrencyLimitCreate,
)

from playground.server import PrefectServer
from tests.support.deploying import deploy_as_0_4_0, deploy_from, edit, line_of
from tests.support.deployments import AUDIT, EVERY, FAN_OUT, PROTECT, deployed

pytestmark = [pytest.mark.usefixtures("nothing_deployed"), pytest.mark.e2e]


NAMES = EVERY


async def test_concurrency_limits_are_removed_and_reported(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    await deploy_as_0_4_0(checkout, prefect_api)
    async with get_client() as client:
        audit, fan_out = [await client.read_deployment_by_name(name) for name in (AUDIT, FAN_OUT)]
        await client.update_deployment(audit.id, DeploymentUpdate(concurrency_limit=3))
        limit = GlobalConcurrencyLimitCreate(name="shared", limit=5, active=True)
        shared = await client.create_global_concurrency_limit(limit)
        await client._client.patch(
            f"/deployments/{fan_out.id}", json={"global_concurrency_limit_id": str(shared)}
        )
    lines = deploy_from(checkout, prefect_api)
    assert "concurrency limit 3 removed" in line_of(lines, AUDIT)
    assert "concurrency limit 1 removed" in line_of(lines, PROTECT)
    assert "concurrency limit 5 removed" in line_of(lines, FAN_OUT)
    for name in NAMES:
        found = await deployed(name)
        assert (found["global_concurrency_limit"], found["concurrency_options"]) == (None, None)
    async with get_client() as client:  # others may use it
        assert (await client.read_global_concurrency_limit_by_name("shared")).limit == 5
        await client.delete_global_concurrency_limit_by_name("shared")
    assert [line_of(deploy_from(checkout, prefect_api), name) for name in NAMES] == ["unchanged"] * len(NAMES)


async def test_a_schedule_is_created_renamed_or_deleted_as_prefect_yaml_does(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    edit(checkout, "slug: nightly", "slug: early")
    assert "updated (schedule early created, schedule nightly deleted)" in line_of(
        deploy_from(checkout, prefect_api), AUDIT
    )
    async with get_client() as client:
        audit = await client.read_deployment_by_name(AUDIT)
        [schedule] = audit.schedules
        assert schedule.slug == "early"
        await client.delete_deployment_schedule(audit.id, schedule.id)
    edit(checkout, "15 4 * * *", "45 5 * * *")
    line = line_of(deploy_from(checkout, prefect_api), AUDIT)
    assert line.startswith("unchanged; schedule early was deleted in Prefect, not created again")
    assert (await deployed(AUDIT))["schedules"] == []


async def test_the_parameters_of_a_schedule_stay_when_its_hour_changes(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    async with get_client() as client:
        audit = await client.read_deployment_by_name(AUDIT)
        theirs = {"label_selector": "{{ x }}"}
        await client.update_deployment_schedule(audit.id, audit.schedules[0].id, parameters=theirs)
    edit(checkout, "15 4 * * *", "45 5 * * *")
    deploy_from(checkout, prefect_api)
    [schedule] = (await deployed(AUDIT))["schedules"]
    assert schedule["parameters"] == theirs
    assert schedule["schedule"]["cron"] == "45 5 * * *"
