"""The endpoints of Hetzner's page Image Actions, put together in another user's small flow."""

import pytest

from hetzner_cloud.errors import ActionFailedError
from sandbox import Fault, Sandbox
from tests.support.example_flow import unprotect_and_protect
from tests.support.fixtures import MakeSandbox, SaveProject
from tests.support.flow_runs import Run, log_of, run


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
        log = await log_of(done.record.id, until="asking GET /images/actions/")
        assert "is gone" in log


async def test_a_failed_action_fails_the_flow_with_its_error_details(
    save_project: SaveProject, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(snapshots=1)
    sandbox.faults.add(Fault(kind="action_error", code="action_failed", message="no"))
    save_project("prod", sandbox)
    done = await run(unprotect_and_protect, project="prod", image_id=min(sandbox.images))
    assert isinstance(done.result, ActionFailedError)
    assert done.result.failed[0].image_id == min(sandbox.images)
