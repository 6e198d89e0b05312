"""The automation that requests approval: for which runs it sends a notification, and what that holds."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.states import Running, Suspended

from flows.protect_snapshots import protect_snapshots
from flows.prune_snapshots import prune_snapshots
from flows.unprotect_snapshots import unprotect_snapshots
from playground.server import PrefectServer
from tests.support.automations import notifications, set_automations
from tests.support.deployed_runs import create_run
from tests.support.waits import until_async

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("nothing_deployed")]

_PARAMETERS = {"project": "prod", "image_ids": [*range(1, 124)], "reason": "moved to the new cluster"}


async def suspend(flow: Flow[..., Any], deployment: str, **parameters: Any) -> UUID:
    run_id = await create_run(flow, deployment, **parameters)
    async with get_client() as client:
        await client.set_flow_run_state(run_id, Running())
        await client.set_flow_run_state(run_id, Suspended(timeout_seconds=60))
    return run_id


async def test_only_a_run_that_waits_for_approval_notifies_with_its_snapshots_and_a_link(
    prefect_api: PrefectServer, tmp_path: Path
) -> None:
    with notifications() as (url, received):
        await set_automations(url, tmp_path, within={})
        await suspend(unprotect_snapshots, "another", **_PARAMETERS)
        await suspend(protect_snapshots, "with-approval")
        run_id = await suspend(unprotect_snapshots, "with-approval", **_PARAMETERS)
        await until_async(lambda: bool(received))
        pruning = await suspend(
            prune_snapshots, "on-demand", dry_run=False, projects=["prod", "x"], policy="p"
        )
        await until_async(lambda: len(received) > 1)
        of_all = await suspend(prune_snapshots, "nightly")
        await until_async(lambda: len(received) > 2)
    link = f"{prefect_api.ui_url}/runs/flow-run/"
    ids = ", ".join(map(str, range(1, 101)))
    assert received == [
        {
            "subject": "Approval requested: remove protection in prod",
            "body": "123 of its snapshots. Approve or reject with Resume, within 24 hours.\n\n"
            f"Image ids (100 at most): {ids}\n\nFlow run: {link}{run_id}\nFlow run id: {run_id}",
        },
        *(
            {
                "subject": f"Approval requested: delete snapshots of {projects}",
                "body": f"Snapshots that policy '{policy}' does not keep. Which ones: Resume shows the plan. "
                "Approve or reject it there, within 24 hours.\n\n"
                f"Flow run: {link}{pruned}\nFlow run id: {pruned}",
            }
            for projects, policy, pruned in (("prod, x", "p", pruning), ("all projects", "default", of_all))
        ),
    ]
