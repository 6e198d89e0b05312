"""A deploy that is interrupted after any of its writes loses nothing, and the next one finishes it."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore

from deploy.automation import ensure_automation
from deploy.record import Record
from playground.server import PrefectServer
from tests.support.counting_proxy import counting_proxy
from tests.support.deploying import (
    OPERATORS,
    cron_of,
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
from tests.support.deployments import EVERY, FAN_OUT, PROTECT, deployed

pytestmark = [pytest.mark.usefixtures("nothing_deployed"), pytest.mark.e2e]
NAMES = EVERY
_BLOCK_TYPE = "/api/block_"  # registering the block type again changes nothing


def deploy_until(checkout: Path, server: PrefectServer, write: int, kind: signal.Signals) -> str:
    """Interrupt a deploy, and what it started, when a write is committed; return the write, "" if none."""
    running: list[subprocess.Popen[str]] = []
    writes: list[str] = []

    def after_write(request: str) -> None:
        if _BLOCK_TYPE not in request:
            writes.append(request)
            if len(writes) == write:
                os.killpg(running[0].pid, kind)
                running[0].wait()

    with counting_proxy(server.environment["PREFECT_API_URL"], after_write) as url:
        running.append(start_deploy(checkout, server, url=url))
        output, _ = running[0].communicate()
        assert (running[0].returncode == 0) == (len(writes) < write), output
    return writes[write - 1] if len(writes) >= write else ""


@pytest.mark.reliability
async def test_b_a_deploy_that_is_killed_after_any_write_leaves_each_deployment_as_before_or_as_updated(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    automation_id = await set_by_operator()
    new_version(checkout, 1)
    killed_after: list[str] = []
    while True:  # each time something else has changed, and it gets one write further
        new_version(checkout, 1)
        edit(
            checkout,
            f'"{len(killed_after)} 4 * * *"' if killed_after else '"15 4 * * *"',
            f'"{len(killed_after) + 1} 4 * * *"',
        )
        before = {name: await deployed(name) for name in NAMES}
        write = deploy_until(checkout, prefect_api, len(killed_after) + 1, signal.SIGKILL)
        if not write:
            break
        killed_after.append(write)
        assert await operators_settings() == OPERATORS
        assert (await find_automation()).id == automation_id
        for name in NAMES:
            now = await deployed(name)
            assert now | {"schedules": []} in (
                before[name] | {"schedules": []},
                before[name] | {"schedules": [], "version": version_in(checkout)},
            )
    assert await operators_settings() == OPERATORS
    assert await cron_of("nightly") == f"{len(killed_after) + 1} 4 * * *"
    assert {(await deployed(name))["version"] for name in NAMES} == {version_in(checkout)}
    patched = {write.split("/")[3] for write in killed_after if write.startswith("PATCH /api/deployments/")}
    assert len(patched) == len(NAMES)  # a request whose response comes late is sent again


def version_in(checkout: Path) -> str:
    return (checkout / "prefect.yaml").read_text().split('version: &version "')[1].split('"')[0]


@pytest.mark.parametrize(
    "write", [3, *(pytest.param(one, marks=pytest.mark.reliability) for one in (1, 5, 7))]
)
async def test_b_a_deploy_that_ctrl_c_interrupts_is_finished_by_the_next_one(
    prefect_api: PrefectServer, checkout: Path, write: int
) -> None:
    deploy_from(checkout, prefect_api)
    await set_by_operator()
    new_version(checkout, 9)
    assert deploy_until(checkout, prefect_api, write, signal.SIGINT)
    assert await operators_settings() == OPERATORS
    deploy_from(checkout, prefect_api)
    assert await operators_settings() == OPERATORS
    assert (await deployed(FAN_OUT))["version"].startswith("9.")


@pytest.mark.parametrize(
    "write", [4, *(pytest.param(one, marks=pytest.mark.reliability) for one in (2, 6, 8))]
)
async def test_b_a_first_deploy_that_is_killed_is_finished_by_the_next_one(
    prefect_api: PrefectServer, checkout: Path, write: int
) -> None:
    assert deploy_until(checkout, prefect_api, write, signal.SIGKILL)
    deploy_from(checkout, prefect_api)
    assert [line_of(deploy_from(checkout, prefect_api), name) for name in NAMES] == ["unchanged"] * len(NAMES)
    assert (await find_automation()).enabled is False


class Interrupted(BaseException):
    """Nothing contains it, as a process that is killed."""


@pytest.mark.parametrize("owned", [True, False])
async def test_b_one_automation_is_left_when_taking_it_over_is_interrupted_after_any_write(
    prefect_api: PrefectServer, checkout: Path, monkeypatch: pytest.MonkeyPatch, *, owned: bool
) -> None:
    request, countdown = PrefectClient.request, 0

    async def count(client: PrefectClient, method: Any, path: Any, *rest: Any, **more: Any) -> Any:
        nonlocal countdown
        response = await request(client, method, path, *rest, **more)
        countdown -= method != "GET" and not path.endswith("/filter")
        if not countdown:
            raise Interrupted
        return response

    await deploy_as_0_4_0(checkout, prefect_api)
    await set_by_operator()
    automation = await find_automation()
    content = automation.model_dump(exclude={"id"})
    stops = 0
    async with get_client() as client:
        protect = await client.read_deployment_by_name(PROTECT)
        owner = f"prefect.deployment.{protect.id}"
        for stop in range(1, 6):
            await client.delete_automation((await find_automation()).id)
            core = AutomationCore.model_validate(content | {"owner_resource": owner if owned else None})
            await client.create_automation(core)
            with monkeypatch.context() as patch:
                patch.setattr(PrefectClient, "request", count)
                countdown = stop
                try:
                    await ensure_automation(client, protect.id, Record())
                except Interrupted:
                    stops += 1
            ensured = await ensure_automation(client, protect.id, Record())
            automation = await find_automation()
            assert (automation.id, automation.model_dump(exclude={"id"})) == (ensured.automation_id, content)
            await client.delete_resource_owned_automations(owner)  # as a bare `prefect deploy` does
            assert await find_automation() == automation
    assert stops == (2 if owned else 3)
