"""`make deploy` on a real server, and a real worker in another folder that runs what was deployed."""

import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events.schemas.automations import Automation
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.asyncutils import run_sync_in_worker_thread

from cli.notifications import remove_notifications, set_notifications
from deploy.record import VARIABLE
from playground.server import PrefectServer, worker
from tests.support.automations import BLOCK, save_notification_block
from tests.support.deployments import (
    AUDIT,
    PROTECT,
    ROOT,
    deployed,
    finished,
    make_deploy,
    runs_of,
    start,
    state_of,
)
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import artifacts_of, eventually, table_in
from tests.support.guide_commands import prefect_calls, run_prefect
from tests.support.protection_runs import unprotected
from tests.support.token_scan import checkpoint, places_with_the_token

DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))
def test_an_entrypoint_is_the_module_s_own_flow(deployment: dict[str, Any]) -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    module, _, name = deployment["entrypoint"].rpartition(".")
    assert flow is getattr(sys.modules[module], name)


def test_no_deployment_refers_to_a_block_or_keeps_a_secret() -> None:
    text = (ROOT / "prefect.yaml").read_text()
    assert not [mark for mark in ("prefect.blocks", "$ref", "token") if mark in text]


def test_no_deployment_has_a_concurrency_limit_or_a_trigger() -> None:
    assert not [part for part in DEPLOYMENTS if part.keys() & {"concurrency_limit", "triggers"}]


def test_each_deployment_says_what_a_person_wants_to_know() -> None:
    for deployment in DEPLOYMENTS:
        assert deployment["description"]
        assert deployment["work_pool"]["name"] == "hetzner-cloud"


async def the_automation() -> Automation:
    async with get_client() as client:
        [automation] = await client.read_automations_by_name("Protect unprotected snapshots")
    return automation


async def switch_schedule(*, active: bool) -> None:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(AUDIT)
        [schedule] = deployment.schedules
        await client.update_deployment_schedule(deployment.id, schedule.id, active=active)


@pytest.mark.e2e
@pytest.mark.usefixtures("nothing_deployed")
async def test_the_whole_story_on_a_worker_in_another_folder(
    save_project: SaveProject, prefect_api: PrefectServer, make_sandbox: MakeSandbox, tmp_path: Path
) -> None:
    prod = make_sandbox(snapshots=6, protected=2, backups=2)
    staging = make_sandbox(snapshots=5, protected=5, first_image_id=200_000_001)
    other = make_sandbox(snapshots=3, first_image_id=300_000_001)
    for name, sandbox in {"prod": prod, "staging": staging, "other": other}.items():
        save_project(name, sandbox)
    make_deploy(prefect_api)
    await switch_schedule(active=False)  # a person's choice; and no night falls while this runs
    seen = [(await deployed(AUDIT), await deployed(PROTECT), await the_automation())]
    make_deploy(prefect_api)
    seen.append((await deployed(AUDIT), await deployed(PROTECT), await the_automation()))
    assert seen[0] == seen[1]

    with worker(prefect_api, tmp_path):
        audited = await start(AUDIT, projects=["prod", "staging"])
        assert state_of(audited) == (
            "COMPLETED",
            (
                "7 of 11 snapshots protected in 2 projects, 4 unprotected. "
                "Run protect-snapshots to protect the unprotected snapshots."
            ),
        )
        assert {artifact.key for artifact in await artifacts_of(audited.id)} == {
            "snapshot-audit-summary",
            *(f"audited-snapshots-{name}" for name in ("prod", "staging")),
        }
        dry = await start(PROTECT, projects=["prod"], dry_run=True)
        assert state_of(dry) == (
            "COMPLETED",
            "Dry run: would protect 4 of 6 snapshots in 1 project, 2 already protected",
        )
        assert len(table_in(await artifacts_of(dry.id))) == 6

        automation = await the_automation()
        assert not automation.enabled
        assert automation.actions[0].model_dump()["parameters"] == {
            "projects": [{"__prefect_kind": "jinja", "template": "{{ event.resource.name }}"}]
        }
        async with get_client() as client:
            await client.resume_automation(automation.id)
        make_deploy(prefect_api)
        assert (await the_automation()).enabled

        before = {run.id for run in await runs_of(PROTECT)}
        await start(AUDIT, projects=["prod", "staging"])
        [started] = await eventually(partial(new_runs, before), bool)
        done = await finished(started.id)
        assert done.parameters["projects"] == ["prod"]
        assert state_of(done) == (
            "COMPLETED",
            "6 of 6 snapshots protected in 1 project (4 newly protected, 2 already protected)",
        ), (tmp_path / "worker.log").read_text()

        again = await start(AUDIT, projects=["prod", "staging"])
        assert state_of(again) == ("COMPLETED", "11 of 11 snapshots protected in 2 projects")

    await follow_the_guides(tmp_path)
    assert [len(unprotected(sandbox)) for sandbox in (prod, staging, other)] == [0, 0, 3]
    assert not [record for record in (*staging.requests, *other.requests) if record.method != "GET"]
    checkpoint(prefect_api.log.parent)
    assert not list(places_with_the_token(prefect_api.log.parent))


async def follow_the_guides(folder: Path) -> None:
    """Start runs and create the automations as the guides say, then uninstall: nothing is left."""
    before = {run.id for run in await runs_of(PROTECT)}
    await save_notification_block("http://127.0.0.1:9/")
    calls = prefect_calls("deployments.md", "Run", folder)
    await run_sync_in_worker_thread(run_prefect, calls)
    assert await run_sync_in_worker_thread(set_notifications, f"custom-webhook/{BLOCK}") == 0
    parameters = [run.parameters for run in await new_runs(before)]
    assert sorted(parameters, key=str) == [{"dry_run": True}, {"projects": ["prod"]}]
    calls = prefect_calls("upgrade-and-uninstall.md", "Uninstall", folder)
    await run_sync_in_worker_thread(run_prefect, calls)
    assert await run_sync_in_worker_thread(remove_notifications) == 0
    async with get_client() as client:
        assert await client.read_deployments() == []
        assert await client.read_automations() == []
        assert [pool.name for pool in await client.read_work_pools()] == []
        assert await client.read_variable_by_name(VARIABLE) is None
        documents = await client.read_block_documents_by_type("hetzner-cloud-credentials")
    assert {document.name for document in documents} == {"staging", "other"}


async def new_runs(before: set[UUID]) -> list[FlowRun]:
    return [run for run in await runs_of(PROTECT) if run.id not in before]


@pytest.mark.e2e
@pytest.mark.usefixtures("nothing_deployed")
@pytest.mark.parametrize(
    ("first", "hours"),
    [("2027-03-26", [3, 3, 2, 2, 2]), ("2026-10-23", [2, 2, 3, 3, 3])],
    ids=["in spring", "in autumn"],
)
async def test_the_night_begins_at_the_same_local_hour_when_the_clocks_change(
    prefect_api: PrefectServer, first: str, hours: list[int]
) -> None:
    make_deploy(prefect_api)
    since = datetime.fromisoformat(f"{first}T00:00:00+00:00")
    until = since + timedelta(days=5)
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(AUDIT)
        asked = {"start_time": since.isoformat(), "end_time": until.isoformat(), "min_runs": len(hours)}
        answer = await client._client.post(f"/deployments/{deployment.id}/schedule", json=asked)
        answer.raise_for_status()
    times = sorted(run.expected_start_time for run in await runs_of(AUDIT) if run.expected_start_time)
    nights = [time for time in times if since <= time < until]
    assert [time.hour for time in nights] == hours
    assert {time.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") for time in nights} == {"04:15"}
