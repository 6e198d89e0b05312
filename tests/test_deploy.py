"""`make deploy` leaves what people have set, and brings what prefect.yaml changes."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.events.schemas.automations import AutomationCore

from playground.server import PrefectServer, free_port
from tests.test_deployment import AUDIT, FAN_OUT, PROTECT, ROOT, SLICE, deployed, make_deploy, the_automation

pytestmark = pytest.mark.usefixtures("nothing_deployed")


def deploy_from(folder: Path, server: PrefectServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy"],
        cwd=folder,
        env=dict(server.environment),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project, whose prefect.yaml can be edited."""
    for name in ("blocks", "deploy", "flows", "hetzner_cloud", "tasks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", tmp_path)
    return tmp_path


def edit(checkout: Path, old: str, new: str) -> None:
    text = (checkout / "prefect.yaml").read_text()
    assert old in text
    (checkout / "prefect.yaml").write_text(text.replace(old, new))


async def set_by_a_person() -> None:
    async with get_client() as client:
        audit, protect = [await client.read_deployment_by_name(name) for name in (AUDIT, PROTECT)]
        await client.update_deployment_schedule(audit.id, audit.schedules[0].id, active=False)
        await client.update_deployment(
            audit.id, DeploymentUpdate(parameters={"grace_hours": 12}, tags=["mine"], concurrency_limit=3)
        )
        await client.update_deployment(protect.id, DeploymentUpdate(paused=True))
        automation = await the_automation()
        core = AutomationCore.model_validate(automation.model_dump(exclude={"id", "owner_resource"}))
        await client.update_automation(
            automation.id, core.model_copy(update={"enabled": True, "description": "mine"})
        )


async def people_s_settings() -> dict[str, Any]:
    audit, protect, automation = await deployed(AUDIT), await deployed(PROTECT), await the_automation()
    return {
        "parameters": audit["parameters"],
        "tags": audit["tags"],
        "limit": audit["global_concurrency_limit"]["limit"],
        "strategy": audit["concurrency_options"]["collision_strategy"],
        "active": [schedule["active"] for schedule in audit["schedules"]],
        "paused": protect["paused"],
        "automation": (automation.enabled, automation.description),
    }


THEIRS = {
    "parameters": {"grace_hours": 12},
    "tags": ["mine"],
    "limit": 3,
    "strategy": "CANCEL_NEW",
    "active": [False],
    "paused": True,
    "automation": (True, "mine"),
}


@pytest.mark.e2e
async def test_what_people_have_set_outlives_a_change_of_something_else(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    await set_by_a_person()
    edit(checkout, 'version: "', 'version: "9.')
    done = deploy_from(checkout, prefect_api)
    assert done.stdout.splitlines() == [
        "work pool hetzner-cloud: is there, left as it is",
        *(f"deployment {name}: updated (version)" for name in (AUDIT, PROTECT, SLICE, FAN_OUT)),
    ]
    assert (await deployed(AUDIT))["version"].startswith("9.")
    assert await people_s_settings() == THEIRS
    assert deploy_from(checkout, prefect_api).stdout.count(": unchanged") == 4
    assert await people_s_settings() == THEIRS


@pytest.mark.e2e
async def test_what_prefect_yaml_changes_gets_through_and_switches_stay(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    await set_by_a_person()
    edit(checkout, "15 4 * * *", "45 5 * * *")
    edit(checkout, "tags: [hetzner-cloud]", "tags: [other]")
    edit(checkout, "exactly the project", "just the project")
    deploy_from(checkout, prefect_api)
    audit, automation = await deployed(AUDIT), await the_automation()
    assert [schedule["schedule"]["cron"] for schedule in audit["schedules"]] == ["45 5 * * *"]
    assert audit["tags"] == ["other"]
    assert await people_s_settings() == THEIRS | {
        "tags": ["other"],
        "automation": (True, automation.description),
    }
    assert automation.description.startswith("Runs protect-snapshots for just the project")


@pytest.mark.e2e
async def test_an_automation_that_a_person_deleted_stays_deleted(
    prefect_api: PrefectServer, checkout: Path
) -> None:
    deploy_from(checkout, prefect_api)
    async with get_client() as client:
        automation = await the_automation()
        await client.delete_automation(automation.id)
        edit(checkout, 'version: "', 'version: "8.')
        deploy_from(checkout, prefect_api)
        protect = await client.read_deployment_by_name(PROTECT)
        assert protect.version
        assert protect.version.startswith("8.")
        assert not await client.read_resource_related_automations(f"prefect.deployment.{protect.id}")
        await client.delete_deployment(
            protect.id
        )  # and all of it comes back when the deployment is made anew
    make_deploy(prefect_api)
    assert (await the_automation()).enabled is False


@pytest.mark.e2e
async def test_a_work_pool_that_is_there_is_left_as_it_is(prefect_api: PrefectServer) -> None:
    make_deploy(prefect_api)
    async with get_client() as client:
        pool = await client.read_work_pool("hetzner-cloud")
        template = pool.base_job_template | {"mine": True}
        await client._client.patch("/work_pools/hetzner-cloud", json={"base_job_template": template})
    make_deploy(prefect_api)
    async with get_client() as client:
        assert (await client.read_work_pool("hetzner-cloud")).base_job_template["mine"]


@pytest.mark.e2e
def test_a_deployment_that_breaks_says_why(prefect_api: PrefectServer, checkout: Path) -> None:
    edit(checkout, "collision_strategy: ENQUEUE", "collision_strategy: SOMETIMES")
    done = deploy_from(checkout, prefect_api)
    assert done.returncode == 1
    assert "CANCEL_NEW" in done.stderr
    assert (
        "--name nightly --name on-demand --name slice --name fan-out` failed, see above."
        in done.stderr.replace("\n", " ")
    )


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "Say which Prefect server: export PREFECT_API_URL="),
        (f"http://127.0.0.1:{free_port()}/api", "No Prefect server answers at http://127.0.0.1:"),
        ("SERVER/nothing/api", "The Prefect server at SERVER/nothing/api refuses with status 40"),
    ],
    ids=["none", "dead", "no API"],
)
def test_without_a_server_one_line_says_what_to_do(
    prefect_api: PrefectServer, checkout: Path, url: str, complaint: str
) -> None:
    url, complaint = (text.replace("SERVER", prefect_api.ui_url) for text in (url, complaint))
    environment = {**prefect_api.environment, "PREFECT_API_URL": url, "PREFECT_HOME": str(checkout / "home")}
    done = deploy_from(checkout, PrefectServer(url, environment, prefect_api.log))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(complaint)
    assert done.stderr.count("\n") == 1
