"""Which audits emit that they are complete: only those reset the alarm of missed-audit.yaml."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.filters import EventFilter
from prefect.flow_engine import run_flow

from flows.audit_snapshot_protection import audit_snapshot_protection
from reporting.events import AUDITED
from sandbox import Fault, Sandbox
from tests.support.audit_runs import audit
from tests.support.fixtures import SaveProject
from tests.support.flow_runs import eventually

pytestmark = pytest.mark.usefixtures("nothing_deployed", "no_known_projects")


@pytest.fixture
async def client(engine: object) -> AsyncIterator[PrefectClient]:
    async with get_client() as client:
        yield client


async def deploy(client: PrefectClient, **parameters: Any) -> UUID:
    flow_id = await client.create_flow(audit_snapshot_protection)
    return await client.create_deployment(flow_id, "nightly", parameters=parameters)


async def audit_deployed(client: PrefectClient, deployment_id: UUID, **parameters: Any) -> FlowRun:
    begun = await client.create_flow_run_from_deployment(deployment_id, parameters=parameters)
    await run_flow(  # type: ignore[misc]  # a coroutine, of an async flow
        audit_snapshot_protection, begun, parameters=begun.parameters, return_type="state"
    )
    return await client.read_flow_run(begun.id)


async def complete_audits() -> dict[str, dict[str, Any]]:
    """The runs that emitted the event, and its payload."""
    async with get_client() as client:
        wanted = EventFilter.model_validate({"event": {"name": [AUDITED]}})
        events = (await client.read_events(wanted, limit=50)).events
    return {
        related.id.removeprefix("prefect.flow-run."): event.payload
        for event in events
        for related in event.related
        if related.role == "flow-run"
    }


@pytest.mark.slow
async def test_only_an_audit_of_all_that_its_deployment_covers_is_complete(
    client: PrefectClient, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-all", sandbox)
    deployment_id = await deploy(client)
    await audit("audit-all")  # belongs to no deployment
    narrowed: list[dict[str, Any]] = [{"projects": ["audit-all"]}, {"label_selector": "a=b"}]
    ended = [
        (await audit_deployed(client, deployment_id, **parameters)).state_name for parameters in narrowed
    ]
    assert ended == ["Unprotected", "Completed"]
    before = set(await complete_audits())
    whole = await audit_deployed(client, deployment_id, grace_hours=1)
    failed = await audit_deployed(client, deployment_id, projects=[], fail_on_unprotected=True)
    assert (whole.state_name, failed.state_name) == ("Unprotected", "Failed")
    expected = before | {str(whole.id), str(failed.id)}
    events = await eventually(complete_audits, lambda found: expected <= set(found))
    assert set(events) - before == {str(whole.id), str(failed.id)}
    assert events[str(whole.id)] == {"projects": 1, "unprotected": 4}


@pytest.mark.slow
async def test_an_audit_with_the_projects_and_selector_of_its_deployment_is_complete(
    client: PrefectClient, save_project: SaveProject, sandbox: Sandbox
) -> None:
    save_project("audit-own", sandbox)
    deployment_id = await deploy(client, label_selector="protect!=no", projects=["audit-own"])
    whole = await audit_deployed(client, deployment_id)
    more = await audit_deployed(client, deployment_id, label_selector="")
    again = await audit_deployed(client, deployment_id)
    expected = {str(whole.id), str(again.id)}
    events = await eventually(complete_audits, lambda found: expected <= set(found))
    assert str(more.id) not in events


@pytest.mark.slow
async def test_an_audit_that_could_not_read_a_project_or_publish_its_report_is_not_complete(
    client: PrefectClient, save_project: SaveProject, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project("audit-blind", sandbox)
    deployment_id = await deploy(client)
    sandbox.faults.add(Fault(kind="error", operation="list_images", status=401, code="unauthorized"))
    blind = await audit_deployed(client, deployment_id)
    assert blind.state_name == "Failed"
    sandbox.faults.clear()
    with monkeypatch.context() as patch:
        patch.setattr(PrefectClient, "create_artifact", fail)
        unpublished = await audit_deployed(client, deployment_id)
    with monkeypatch.context() as patch:
        patch.setattr(PrefectClient, "read_deployment", fail)
        unknown = await audit_deployed(client, deployment_id)
    assert unknown.state_type == StateType.COMPLETED
    whole = await audit_deployed(client, deployment_id)
    events = await eventually(complete_audits, lambda found: str(whole.id) in found)
    assert not {str(run.id) for run in (blind, unpublished, unknown)} & set(events)


async def fail(*_: object, **__: object) -> None:
    raise ConnectionError("away")
