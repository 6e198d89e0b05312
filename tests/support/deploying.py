"""A copy of the project to deploy from, and the settings of an operator."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.blocks.system import Secret
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.variables import Variable
from pydantic import SecretStr

from playground.server import PrefectServer
from tests.support.deployments import AUDIT, PROTECT
from tests.support.fixtures import TOKEN

RECORD = "hetzner_snapshot_protection_deployed"
RENAMED = "Protect at once, and tell the team"
PARAMETERS = {"grace_hours": 12, "label_selector": "{{ x }}"}
PLACEHOLDER = "{{ prefect.blocks.secret.deploy-proxy }}"
JINJA = {"projects": [{"__prefect_kind": "jinja", "template": "{{ event.resource.name }}"}]}
HEARTBEAT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}

TRIGGER_OF_0_4_0 = """
    triggers:
      - name: protect what an audit finds unprotected
        description: Runs protect-snapshots for the project.
        enabled: false
        expect: [hetzner-cloud.snapshots.unprotected]
        match:
          prefect.resource.id: hetzner-cloud.project.*
        parameters:
          projects:
            - __prefect_kind: jinja
              template: "{{ event.resource.name }}"
    concurrency_limit:
      limit: 1
      collision_strategy: ENQUEUE
"""


def edit(checkout: Path, old: str, new: str) -> None:
    text = (checkout / "prefect.yaml").read_text()
    assert old in text
    (checkout / "prefect.yaml").write_text(text.replace(old, new))


def new_version(checkout: Path, digit: int) -> None:
    edit(checkout, 'version: &version "', f'version: &version "{digit}.')


def start_deploy(
    checkout: Path, server: PrefectServer, *arguments: str, url: str = ""
) -> subprocess.Popen[str]:
    environment = {**server.environment, **({"PREFECT_API_URL": url} if url else {})}
    return subprocess.Popen(
        [sys.executable, "-m", *(arguments or ("deploy",))],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def deploy_from(checkout: Path, server: PrefectServer, *arguments: str) -> list[str]:
    process = start_deploy(checkout, server, *arguments)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output.splitlines()


def line_of(lines: list[str], name: str) -> str:
    [line] = [line for line in lines if line.startswith(f"deployment {name}: ")]
    return line.removeprefix(f"deployment {name}: ")


async def deploy_as_0_4_0(checkout: Path, server: PrefectServer) -> None:
    """With a trigger and a concurrency limit in prefect.yaml, and a record without our fields."""
    text = (checkout / "prefect.yaml").read_text()
    before, name, after = text.partition("  - name: on-demand\n")
    (checkout / "prefect.yaml").write_text(before + name + TRIGGER_OF_0_4_0.lstrip("\n") + after)
    async with get_client() as client:
        pools = {pool.name for pool in await client.read_work_pools()}
    if "hetzner-cloud" not in pools:
        deploy_from(
            checkout, server, *["prefect", "work-pool", "create", "hetzner-cloud", "--type", "process"]
        )
    deploy_from(checkout, server, "prefect", "--no-prompt", "deploy", "--all")
    (checkout / "prefect.yaml").write_text(text)
    old = {AUDIT: {"tags": "0123456789ab"}, PROTECT: {"triggers": "0123456789ab", "tags": "0123456789ab"}}
    await Variable.aset(RECORD, old, overwrite=True)


async def set_by_operator() -> UUID:
    """All that an operator may set, and nothing may lose; return the automation's id."""
    await Secret(value=SecretStr(TOKEN)).save("deploy-proxy", overwrite=True)
    async with get_client() as client:
        audit, protect = [await client.read_deployment_by_name(name) for name in (AUDIT, PROTECT)]
        environment = {"env": {**HEARTBEAT, "PROXY_PASSWORD": PLACEHOLDER}}
        await client.update_deployment(
            audit.id, DeploymentUpdate(parameters=PARAMETERS, tags=["mine"], job_variables=environment)
        )
        await client.update_deployment(protect.id, DeploymentUpdate(paused=True, tags=["hetzner-cloud", "b"]))
        await client.update_deployment_schedule(audit.id, audit.schedules[0].id, active=False)
        cron = CronSchedule(cron="0 12 * * *", timezone="UTC")
        noon = DeploymentScheduleCreate(schedule=cron, active=True, parameters={"grace_hours": 1})
        await client.create_deployment_schedules(audit.id, [noon])
        automation = await find_automation()
        core = AutomationCore.model_validate(automation.model_dump(exclude={"id", "owner_resource"}))
        await client.update_automation(
            automation.id, core.model_copy(update={"enabled": True, "name": RENAMED})
        )
    return automation.id


async def find_automation() -> Automation:
    async with get_client() as client:
        [automation] = await client.read_automations()
    return automation


OPERATORS = {
    "parameters": PARAMETERS,
    "tags": ["mine"],
    "job_variables": {"env": {**HEARTBEAT, "PROXY_PASSWORD": PLACEHOLDER}},
    "noon": (None, "0 12 * * *", True, {"grace_hours": 1}),
    "nightly is active": False,
    "paused": True,
    "tags of on-demand": ["hetzner-cloud", "b"],
    "automation": (RENAMED, True, JINJA),
}


async def operators_settings() -> dict[str, Any]:
    async with get_client() as client:
        audit, protect = [await client.read_deployment_by_name(name) for name in (AUDIT, PROTECT)]
    automation = await find_automation()
    schedules: dict[Any, Any] = {
        item.slug: (item.slug, item.schedule.model_dump()["cron"], item.active, item.parameters)
        for item in audit.schedules
    }
    return {
        "parameters": audit.parameters,
        "tags": audit.tags,
        "job_variables": audit.job_variables,
        "noon": schedules[None],
        "nightly is active": schedules["nightly"][2],
        "paused": protect.paused,
        "tags of on-demand": protect.tags,
        "automation": (
            automation.name,
            automation.enabled,
            automation.actions[0].model_dump().get("parameters"),
        ),
    }


async def cron_of(slug: str) -> str:
    async with get_client() as client:
        audit = await client.read_deployment_by_name(AUDIT)
    [schedule] = [item.schedule for item in audit.schedules if item.slug == slug]
    return str(schedule.model_dump()["cron"])


async def delete_record(client: PrefectClient) -> None:
    await client.delete_variable_by_name(RECORD)
