"""The automations of docs/automations: on which runs they act, on which not, and what the guides name."""

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
from prefect.states import Completed, Pending, Running, Suspended

from deploy.notifications import read_descriptions
from flows.protect_snapshots import protect_snapshots
from records.project_flows import FLOW_NAMES
from tests.support.automations import (
    FOLDER,
    actions_of,
    heartbeat,
    notifications,
    set_automations,
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
    assert set(re.findall(r"\]\(automations/([a-z-]+)\.yaml\)", guides[0])) == set(files())
    assert "$ hetzner-snapshots notifications set " in guides[0]
    assert "$ hetzner-snapshots notifications remove\n" in guides[1]
    automations = [one for inside in files().values() for one in inside]
    assert {one.name for one in read_descriptions()} == {one["name"] for one in automations}
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


async def test_zombie_runs_of_ours_are_marked_and_nothing_else_and_that_there_was_no_audit_is_reported(
    client: PrefectClient, tmp_path: Path
) -> None:
    protect = await client.create_flow(protect_snapshots)
    on_demand, batch = [await client.create_deployment(protect, name) for name in ("on-demand", "batch")]
    theirs = await client.create_deployment(await client.create_flow(other_flow), "on-demand")
    with notifications() as (url, received):
        await set_automations(url, tmp_path, within=_WITHIN)
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
            return any(last in one["body"] for one in received)

        async def subjects() -> set[str]:
            return {one["subject"] for one in received}

        reported = f"protect-snapshots/on-demand Crashed: {dead['running'].name}"
        await eventually(subjects, lambda found: reported in found)
        last = "Last complete audit: none since the automation was created, or none known since"
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
