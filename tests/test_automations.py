"""The automations in docs/automations, which operators create from these files."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.states import Running, Suspended

from flows.protect_snapshots import protect_snapshots
from flows.unprotect_snapshots import unprotect_snapshots
from playground.server import PrefectServer
from tests.support.automations import FOLDER, create_automation, webhook
from tests.support.deployed_runs import create_run
from tests.support.flow_runs import eventually

FILES = sorted(FOLDER.glob("*.yaml"))
PARAMETERS = {"project": "prod", "image_ids": [*range(1, 24)], "reason": "moved to the new cluster"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_automation_is_one_that_prefect_accepts_and_that_the_readme_names(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    block = "10000000-0000-4000-8000-000000000000"
    AutomationCore.model_validate(yaml.safe_load(path.read_text().replace("BLOCK_DOCUMENT_ID", block)))
    assert content["enabled"]
    assert f"docs/automations/{path.name}" in (FOLDER.parents[1] / "README.md").read_text()


def test_what_marks_silent_runs_as_crashed_spares_those_that_wait_for_approval() -> None:
    trigger = yaml.safe_load((FOLDER / "zombie-runs.yaml").read_text())["trigger"]
    assert {"prefect.flow-run.Suspended", "prefect.flow-run.Paused"} <= set(trigger["expect"])


async def suspend(flow: Flow[..., Any], deployment: str, **parameters: Any) -> UUID:
    run_id = await create_run(flow, deployment, **parameters)
    async with get_client() as client:
        await client.set_flow_run_state(run_id, Running())
        await client.set_flow_run_state(run_id, Suspended(timeout_seconds=60))
    return run_id


@pytest.mark.usefixtures("nothing_deployed")
async def test_only_a_run_that_waits_for_approval_notifies_with_its_snapshots_and_a_link(
    prefect_api: PrefectServer, tmp_path: Path
) -> None:
    async with webhook() as (block_id, received):
        create_automation(prefect_api, "approval-requested.yaml", tmp_path, BLOCK_DOCUMENT_ID=block_id)
        await suspend(unprotect_snapshots, "another", **PARAMETERS)
        await suspend(protect_snapshots, "with-approval")
        run_id = await suspend(unprotect_snapshots, "with-approval", **PARAMETERS)

        async def read() -> list[dict[str, str]]:
            return received

        await eventually(read, bool)
    ids = ", ".join(map(str, range(1, 21)))
    assert received == [
        {
            "subject": "Approval requested: remove protection in prod",
            "body": f"23 of its snapshots: {ids}, …. Approve or reject with Resume, within 24 hours: "
            f"{prefect_api.ui_url}/runs/flow-run/{run_id}",
        }
    ]
