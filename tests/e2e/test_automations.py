"""Each file of docs/automations, created with Prefect's command: when it acts, on what, and what it sends."""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Crashed, Failed, Pending, Running, Suspended

from deploy.notifications import read_descriptions
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from playground.server import PrefectServer
from records.project_flows import FLOW_NAMES
from reporting.events import AUDITED, LEFT_UNPROTECTED, MISSING, UNPROTECTED
from tests.support.automations import (
    FOLDER,
    actions_of,
    create_automations,
    emit,
    heartbeat,
    notifications,
    save_notification_block,
)
from tests.support.deployments import ROOT
from tests.support.flow_runs import eventually
from tests.support.machine import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("nothing_deployed")]

_SECONDS = 10  # the shortest window that Prefect allows
_WITHIN = dict.fromkeys((240, 900, 93_600), _SECONDS)


@flow(name="another-user-s")
def other_flow() -> None: ...


@pytest.fixture
async def client(engine: object) -> AsyncIterator[PrefectClient]:
    async with get_client() as client:
        yield client


def files() -> dict[str, list[dict[str, Any]]]:
    described = {file.stem: yaml.safe_load(file.read_text()) for file in FOLDER.glob("*.yaml")}
    return {name: content.get("automations", [content]) for name, content in described.items()}


def test_the_guides_create_and_remove_each_automation_and_each_names_all_flows() -> None:
    guides = [
        (ROOT / "docs" / f"{name}.md").read_text() for name in ("notifications", "upgrade-and-uninstall")
    ]
    assert set(re.findall(r"\]\(automations/([a-z-]+)\.yaml\)", guides[0])) | {"zombie-runs"} == set(files())
    [removed] = re.findall(r"for name in (\"[^;]*); do\n>   prefect automation delete", guides[1])
    prefix = "hetzner-snapshots - "
    automations = [one for inside in files().values() for one in inside]
    by_hand = {prefix + name for name in re.findall(r'"(.*?)"', removed)}
    by_the_command = {one.name for one in read_descriptions()}
    assert by_hand | by_the_command == {one["name"] for one in automations}
    assert not by_hand & by_the_command
    of_some_flows = {"hetzner-snapshots - a run waits for approval"}
    for automation in [one for one in automations if one["name"] not in of_some_flows]:
        flow_names = [
            set(match["prefect.resource.name"])
            for match in automation["trigger"].get("match_related", [])
            if isinstance(match, dict) and match["prefect.resource.role"] == "flow"
        ]
        assert all(names == set(FLOW_NAMES) for names in flow_names)


async def begin(client: PrefectClient, deployment: UUID | None, state: State[Any], of: Any = None) -> FlowRun:
    """A flow run that is, or was, in a state; of a deployment, or of a flow without one."""
    if deployment:
        begun = await client.create_flow_run_from_deployment(deployment, state=Pending())
    else:
        begun = await client.create_flow_run(of, state=Pending(), tags=["hetzner-cloud"])
    if not state.is_pending():
        await client.set_flow_run_state(begun.id, state, force=True)
    return begun


async def states_of(client: PrefectClient, **runs: FlowRun) -> dict[str, str | None]:
    return {name: (await client.read_flow_run(run.id)).state_name for name, run in runs.items()}


async def test_zombie_runs_of_ours_are_marked_and_nothing_else_and_a_missed_audit_is_reported(
    client: PrefectClient, prefect_api: PrefectServer, tmp_path: Path
) -> None:
    protect = await client.create_flow(protect_snapshots)
    on_demand, batch = [await client.create_deployment(protect, name) for name in ("on-demand", "batch")]
    theirs = await client.create_deployment(await client.create_flow(other_flow), "on-demand")
    audits = await client.create_flow(audit_snapshot_protection)
    nightly, weekly = [await client.create_deployment(audits, name) for name in ("nightly", "weekly")]
    create_automations(prefect_api, tmp_path, "zombie-runs", within=_WITHIN)
    with notifications() as (url, received):
        block = await save_notification_block(url)
        create_automations(prefect_api, tmp_path, "missed-audit", block=block, within=_WITHIN)
        live = {
            "theirs": await begin(client, theirs, Running()),
            "from the shell": await begin(client, None, Running(), protect_snapshots),
        }
        for run in live.values():
            await heartbeat(run)
        live["completed"] = await leave(client, on_demand, Completed())
        live["suspended"] = await leave(client, on_demand, Suspended(timeout_seconds=600))
        live["without heartbeats"] = await begin(client, on_demand, Running())
        live["theirs, pending"] = await begin(client, theirs, Pending())
        before = await states_of(client, **live)
        dead = {
            "running": await begin(client, on_demand, Running()),
            "pending": await begin(client, batch, Pending()),
        }
        await heartbeat(dead["running"])

        async def are_crashed() -> bool:
            return set((await states_of(client, **dead)).values()) == {"Crashed"}

        async def acted_on() -> list[str]:
            return await actions_of("executed")

        await until(are_crashed)
        assert await states_of(client, **live) == before
        await eventually(acted_on, {str(run.id) for run in dead.values()}.issubset)
        acted = {*await acted_on(), *await actions_of("failed")}
        assert not acted & {str(run.id) for run in live.values()}

        async def is_reported() -> bool:
            return bool(received) and last in received[-1]["body"]

        last = "Last complete audit: none since the automation was created, or none known since"
        await until(is_reported)
        last_run = await client.create_flow_run_from_deployment(nightly)
        for run, name in (
            (last_run, "nightly"),
            (await client.create_flow_run_from_deployment(weekly), "weekly"),
        ):
            await emit(AUDITED, {"prefect.resource.id": "hetzner-cloud.audit"}, related_to(run, name))
        last = f"Last complete audit: {prefect_api.ui_url}/runs/flow-run/{last_run.id} {last_run.id}\n"
        await until(is_reported)


async def leave(client: PrefectClient, deployment: UUID, state: State[Any]) -> FlowRun:
    """A flow run that has left Running soon after its heartbeat, on however slow a machine."""
    while True:
        run = await begin(client, deployment, Running())
        began = time.monotonic()
        await heartbeat(run)
        await client.set_flow_run_state(run.id, state, force=True)
        if time.monotonic() - began < _SECONDS / 3:
            return run


def related_to(run: FlowRun, deployment: str) -> list[dict[str, str]]:
    return [
        {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run"},
        {
            "prefect.resource.id": f"prefect.deployment.{run.deployment_id}",
            "prefect.resource.role": "deployment",
            "prefect.resource.name": deployment,
        },
    ]


async def test_failed_and_crashed_runs_of_ours_and_what_events_tell_of_snapshots_are_reported_once(
    client: PrefectClient, prefect_api: PrefectServer, tmp_path: Path
) -> None:
    protect = await client.create_flow(protect_snapshots)
    on_demand, batch = [await client.create_deployment(protect, name) for name in ("on-demand", "batch")]
    theirs = await client.create_deployment(await client.create_flow(other_flow), "on-demand")
    with notifications() as (url, received):
        block = await save_notification_block(url)
        for name in ("failed-runs", "unprotected-snapshots", "missing-snapshots", "left-unprotected"):
            create_automations(prefect_api, tmp_path, name, block=block, within={})
        for deployment, of in ((batch, None), (theirs, None), (None, protect_snapshots)):
            await begin(client, deployment, Failed(message="not to be reported"), of)
        await begin(client, on_demand, Completed(message="not to be reported"))
        crashed = await begin(client, on_demand, Crashed(message="x" * 5_000))
        prod = {
            "prefect.resource.id": "hetzner-cloud.project.prod",
            "prefect.resource.name": "prod",
            "hetzner-cloud.news": "yes",
        }
        for event in (UNPROTECTED, MISSING):
            known = prod | {"prefect.resource.name": "reported in this week", "hetzner-cloud.news": "no"}
            await emit(event, known, related_to(crashed, "on-demand"), count=1, image_ids=[6])
        await emit(
            UNPROTECTED,
            prod,
            related_to(crashed, "on-demand"),
            count=2,
            newly_unprotected=1,
            since_last_audit=1,
            image_ids=[7, 8],
        )
        await emit(
            MISSING,
            prod,
            related_to(crashed, "on-demand"),
            count=2,
            since_last_audit=1,
            image_ids=[9, 10],
        )
        await emit(
            LEFT_UNPROTECTED,
            {"prefect.resource.id": "hetzner-cloud.project.prod", "prefect.resource.name": "prod"},
            related_to(crashed, "on-demand"),
            count=1,
            image_ids=[11],
            reason="the token is invalid",
        )
        failed = await begin(client, on_demand, Failed(name="TimedOut", message="the token is invalid"))

        async def bodies() -> dict[str, str]:
            return {one["subject"]: one["body"] for one in received}

        found = await eventually(bodies, lambda found: len(found) > 4)
    assert len(received) == 5
    link = f"{prefect_api.ui_url}/runs/flow-run/"
    assert found == {
        "Unprotected snapshots in prod": (
            "2 unprotected, 1 of them lost their protection, 1 since the last audit.\n\n"
            "Image ids (100 at most): 7, 8\n"
            f"Audit: {link}{crashed.id}\nFlow run id: {crashed.id}"
        ),
        "Missing snapshots in prod": (
            "2 missing that were protected, 1 since the last audit: deleted, or their labels were "
            "changed.\n\n"
            "Image ids (100 at most): 9, 10\n"
            f"Audit: {link}{crashed.id}\nFlow run id: {crashed.id}"
        ),
        "Left unprotected: 1 in prod": (
            "the token is invalid\n\n"
            "Protect it: run protect-snapshots/on-demand. It can be deleted until then.\n\n"
            "Image ids (100 at most): 11\n"
            f"Prune run: {link}{crashed.id}\nFlow run id: {crashed.id}"
        ),
        f"protect-snapshots/on-demand Crashed: {crashed.name}": (
            f"{'x' * 997}...\n\nFlow run: {link}{crashed.id}\n"
            f"Flow run id: {crashed.id}\nDeployment id: {on_demand}"
        ),
        f"protect-snapshots/on-demand TimedOut: {failed.name}": (
            f"the token is invalid\n\nFlow run: {link}{failed.id}\n"
            f"Flow run id: {failed.id}\nDeployment id: {on_demand}"
        ),
    }
