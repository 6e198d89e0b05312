"""All automations, set with the command for one webhook: each event arrives there once, over HTTP."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Crashed, Failed, Pending

from flows import _audit_project as audit_module
from flows.audit_snapshot_protection import audit_snapshot_protection
from flows.protect_snapshots import protect_snapshots
from flows.unprotect_snapshots import unprotect_snapshots
from playground.server import PrefectServer
from reporting.events import AUDITED, emit_left_unprotected
from tests.support.automations import emit, notifications, related_to, set_automations
from tests.support.deployed_runs import create_run, ensure_deployment, execute
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.machine import until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("nothing_deployed")]

_WITHIN = {93_600: 10}  # the shortest window that Prefect allows
_PROJECT = "notified"


@flow(name="another-user-s")
def other_flow() -> None: ...


@flow(name="prune-snapshots")
async def failing_prune() -> None:
    """Fail as a prune run does that could not protect a snapshot again."""
    emit_left_unprotected(_PROJECT, [11], "the token is invalid")
    raise RuntimeError("1 snapshot left unprotected")


class Weekday:
    """The day on which audits list: the Wednesday of next week, at the current time; `later` moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.later = timedelta()

        def shift() -> timedelta:
            return timedelta(days=9 - datetime.now(UTC).weekday()) + self.later

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return super().now(tz) + shift()

        monkeypatch.setattr(audit_module, "datetime", Shifted)


@pytest.fixture
def weekday(monkeypatch: pytest.MonkeyPatch) -> Weekday:
    return Weekday(monkeypatch)


async def set_state(client: PrefectClient, deployment: UUID | None, state: State[Any]) -> FlowRun:
    """A flow run that was in a state; of a deployment, or from the shell."""
    if deployment:
        begun = await client.create_flow_run_from_deployment(deployment, state=Pending())
    else:
        begun = await client.create_flow_run(protect_snapshots, state=Pending())
    await client.set_flow_run_state(begun.id, state, force=True)
    return begun


async def set_states(client: PrefectClient) -> tuple[UUID, FlowRun, FlowRun]:
    """Runs that fail or crash: those to be reported, of the deployment that is returned, between others."""
    on_demand = await ensure_deployment(protect_snapshots, "on-demand")
    unreported = [
        await ensure_deployment(protect_snapshots, "batch"),
        await ensure_deployment(other_flow, "on-demand"),
        None,
    ]
    for deployment in unreported:
        await set_state(client, deployment, Failed(message="not to be reported"))
    await set_state(client, on_demand, Completed(message="not to be reported"))
    crashed = await set_state(client, on_demand, Crashed(message="x" * 5_000))
    failed = await set_state(client, on_demand, Failed(name="TimedOut", message="the token is invalid"))
    return on_demand, crashed, failed


async def test_each_event_notifies_once_and_what_stays_again_in_the_next_week(
    make_sandbox: MakeSandbox,
    save_project: SaveProject,
    prefect_api: PrefectServer,
    weekday: Weekday,
    tmp_path: Path,
) -> None:
    sandbox = make_sandbox(snapshots=4, protected=4)
    save_project(_PROJECT, sandbox)
    lost, deleted, first, second = sandbox.images

    async def audit() -> FlowRun:
        async with get_client() as client:
            begun = await client.create_flow_run_from_deployment(nightly)
        return await execute(audit_snapshot_protection, begun.id)

    with notifications() as (url, received):
        await set_automations(url, tmp_path, within=_WITHIN)
        async with get_client() as client:
            of_audits = await client.create_flow(audit_snapshot_protection)
            only = {"projects": [_PROJECT]}
            nightly = await client.create_deployment(of_audits, "nightly", parameters=only)
            on_demand, crashed, failed = await set_states(client)
        await audit()
        sandbox.set_protection(lost, delete=False)
        sandbox.delete_image(deleted)
        found = await audit()
        await audit()  # finds the same
        pruning = await execute(failing_prune, await create_run(failing_prune, "on-demand"))
        request = {"project": _PROJECT, "image_ids": [first, second], "reason": "moved to the new cluster"}
        approval = await execute(
            unprotect_snapshots, await create_run(unprotect_snapshots, "with-approval", **request)
        )
        assert (pruning.state_name, approval.state_name) == ("Failed", "Suspended"), approval.state
        weekday.later = timedelta(days=5)  # Monday
        again = await audit()
        weekly = await create_run(audit_snapshot_protection, "weekly")
        async with get_client() as client:
            of_another = related_to(await client.read_flow_run(weekly), "weekly")
        await emit(AUDITED, {"prefect.resource.id": "hetzner-cloud.audit"}, of_another)

        async def is_missed() -> bool:
            return any(f"Last complete audit: {link}{again.id}" in one["body"] for one in received)

        link = f"{prefect_api.ui_url}/runs/flow-run/"
        await until(is_missed)
    assert sandbox.token not in json.dumps(received)
    missed = [one for one in received if one["subject"] == "No complete snapshot audit for 26 hours"]
    assert len([one for one in missed if str(again.id) in one["body"]]) == 1
    assert not [one for one in missed if str(weekly) in one["body"]]
    others = [(one["subject"], one["body"]) for one in received if one not in missed]
    ids = "Image ids (100 at most): "
    advice = "Protect it: run protect-snapshots/on-demand. It can be deleted until then."
    decide = "Approve or reject with Resume, within 24 hours."

    def ends(what: str, run: FlowRun) -> str:
        return f"{what}: {link}{run.id}\nFlow run id: {run.id}"

    lines = {
        "unprotected": "1 unprotected, 1 of them lost their protection, {} since the last audit.",
        "missing": "1 missing that were protected, {} since the last audit: "
        "deleted, or their labels were changed.",
    }
    expected = [
        *(
            (
                f"{what.capitalize()} snapshots in {_PROJECT}",
                f"{lines[what].format(new)}\n\n{ids}{image_id}\n{ends('Audit', run)}",
            )
            for what, image_id in (("unprotected", lost), ("missing", deleted))
            for run, new in ((found, 1), (again, 0))
        ),
        (
            f"Left unprotected: 1 in {_PROJECT}",
            f"the token is invalid\n\n{advice}\n\n{ids}11\n{ends('Prune run', pruning)}",
        ),
        (
            f"Approval requested: remove protection in {_PROJECT}",
            f"2 of its snapshots. {decide}\n\n{ids}{first}, {second}\n\n{ends('Flow run', approval)}",
        ),
        *(
            (
                f"{flow_name} {state}: {run.name}",
                f"{message}\n\n{ends('Flow run', run)}\nDeployment id: {deployment}",
            )
            for flow_name, state, run, message, deployment in (
                ("protect-snapshots/on-demand", "Crashed", crashed, f"{'x' * 997}...", on_demand),
                ("protect-snapshots/on-demand", "TimedOut", failed, "the token is invalid", on_demand),
                (
                    "prune-snapshots/on-demand",
                    "Failed",
                    pruning,
                    "Flow run encountered an exception: RuntimeError: 1 snapshot left unprotected",
                    pruning.deployment_id,
                ),
            )
        ),
    ]
    assert Counter(others) == Counter(expected)
