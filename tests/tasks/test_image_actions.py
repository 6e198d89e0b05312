"""The endpoints of Hetzner's page Image Actions, put together in another user's small flow."""

import re
from pathlib import Path
from typing import Any

import pytest

from hetzner_cloud.errors import ActionFailedError
from sandbox import Fault, Sandbox
from tests.support.example_flow import unprotect_and_protect
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, log_of, run

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "tasks.md"


@pytest.fixture(params=[False, True], ids=["endpoint there", "endpoint gone"])
def page(request: pytest.FixtureRequest, make_sandbox: MakeSandbox) -> Sandbox:
    return make_sandbox(snapshots=2, protected=1, action_seconds=0.1, action_for_image_gone=request.param)


async def test_protection_is_changed_both_ways_and_the_actions_are_found(
    save_project: SaveProject, page: Sandbox
) -> None:
    save_project("prod", page)
    done: Run = await run(unprotect_and_protect, project="prod", image_id=min(page.images))
    assert done.state.is_completed(), done.state.message
    assert [action.status for action in done.result] == ["success", "success"]
    assert [action.id for action in done.result] == sorted(
        (action.id for action in done.result), reverse=True
    )
    query = page.calls("list_actions_for_image")[0]
    assert query.values("sort") == ["status:asc", "id:desc"]
    assert query.values("status") == ["success", "error"]

    fallbacks = page.calls("get_image_action")
    assert len(fallbacks) == (2 if page.settings.action_for_image_gone else 0)
    if fallbacks:
        log = await log_of(done.record.id, until="using GET /images/actions/")
        assert "was removed; using" in log


async def test_a_failed_action_fails_the_flow_with_its_error_details(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=1)
    sandbox.faults.add(Fault(kind="action_error", code="action_failed", message="no"))
    save_project("prod", sandbox)
    done = await run(unprotect_and_protect, project="prod", image_id=min(sandbox.images))
    assert isinstance(done.result, ActionFailedError)
    assert done.result.failed[0].image_id == min(sandbox.images)


async def test_the_example_of_the_reference_protects_a_snapshot(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=1)
    save_project("prod", sandbox)
    text = REFERENCE.read_text()
    [example] = re.findall(r"```python\n(from prefect import flow.+?)```", text, re.DOTALL)
    [command] = re.findall(r'^\$ python -c "(.+)"$', text, re.MULTILINE)
    assert "protect_one.protect_one('prod', 100000001)" in command
    flows: dict[str, Any] = {}
    exec(example, flows)
    await flows["protect_one"]("prod", 100_000_001)
    assert sandbox.images[100_000_001]["protection"] == {"delete": True}
