"""What the Prefect server has: the deployments of this project, and the updates of each."""

from collections.abc import Collection, Sequence
from datetime import datetime

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.filters import EventFilter
from prefect.exceptions import ObjectNotFound

from records.project_flows import is_project_entrypoint

_PAGE = 200


async def fetch(client: PrefectClient, name: str) -> DeploymentResponse | None:
    """Find a deployment by flow and deployment name; None if there is none."""
    try:
        return await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


async def fetch_updates(
    client: PrefectClient, deployed: DeploymentResponse, since: datetime | None
) -> list[Sequence[str]]:
    """Read which fields each update of a deployment has changed; servers store events for days only."""
    if since is None:
        return []
    wanted = EventFilter.model_validate(
        {
            "occurred": {"since": since},
            "event": {"name": ["prefect.deployment.updated"]},
            "resource": {"id": [f"prefect.deployment.{deployed.id}"]},
        }
    )
    page = await client.read_events(wanted, limit=50)
    return [event.payload.get("updated_fields", ()) for event in page.events]


async def find_abandoned(
    client: PrefectClient, described: Collection[str], recorded: Collection[str]
) -> list[str]:
    """Find deployments of this project that prefect.yaml no longer describes.

    They are recorded, or run a flow of this project; others may have a package `flows`, too.
    """
    flows: dict[object, str] = {}
    abandoned = set()
    for deployed in await _fetch_all(client):
        if deployed.flow_id not in flows:
            flows[deployed.flow_id] = (await client.read_flow(deployed.flow_id)).name
        name = f"{flows[deployed.flow_id]}/{deployed.name}"
        if name in recorded or is_project_entrypoint(deployed.entrypoint):
            abandoned.add(name)
    return sorted(abandoned - set(described))


async def _fetch_all(client: PrefectClient) -> list[DeploymentResponse]:
    found: list[DeploymentResponse] = []
    while len(page := await client.read_deployments(limit=_PAGE, offset=len(found))) == _PAGE:
        found += page
    return found + page
