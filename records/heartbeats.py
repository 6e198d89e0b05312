"""The last heartbeat of a flow run: while it lives, a run of a deployment sends such an event every 30 s."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter

_MAX_EVENTS = 50  # as many as Prefect returns at once
_RESOURCE = "prefect.flow-run."


async def read_last_heartbeats(
    client: PrefectClient, ids: Sequence[UUID], *, until: datetime
) -> Mapping[UUID, datetime]:
    """Read when each flow run sent its last heartbeat; one that sent none is left out."""
    heartbeats = {}
    for at in range(0, len(ids), _MAX_EVENTS):
        resources = [f"{_RESOURCE}{flow_run_id}" for flow_run_id in ids[at : at + _MAX_EVENTS]]
        wanted = EventFilter(
            event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
            resource=EventResourceFilter(id=resources, distinct=True),  # the last one of each
            occurred=EventOccurredFilter(until=until),
        )
        for event in (await client.read_events(wanted, limit=_MAX_EVENTS)).events:
            heartbeats[UUID(event.resource.id.removeprefix(_RESOURCE))] = event.occurred
    return heartbeats
