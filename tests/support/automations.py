"""The automations of docs/automations, created as a user does, and what they send and do."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events.filters import EventFilter

from cli.notifications import set_notifications
from playground.server import PrefectServer
from tests.support.deploying import deploy_from
from tests.support.loopback_servers import on_loopback

FOLDER = Path(__file__).parents[2] / "docs" / "automations"
BLOCK = "automation-test"
_TAG = {"prefect.resource.id": "prefect.tag.hetzner-cloud", "prefect.resource.role": "tag"}


@contextmanager
def notifications() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A receiver of webhooks: its address, and the subjects and bodies that it has received."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = on_loopback(Handler)
    try:
        yield f"http://127.0.0.1:{server.server_port}/", received
    finally:
        server.shutdown()
        server.server_close()


async def save_notification_block(url: str) -> UUID:
    block = CustomWebhookNotificationBlock(
        name="test", url=url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    return UUID(str(await block.save(BLOCK, overwrite=True)))


def create_automations(
    server: PrefectServer, folder: Path, name: str, *, block: UUID | None = None, within: Mapping[int, int]
) -> None:
    """Create those of a file with Prefect's command; `within` replaces their windows, in seconds."""
    file = folder / f"{name}.yaml"
    file.write_text(_described(name, within).replace("BLOCK_DOCUMENT_ID", str(block)))
    deploy_from(folder, server, "prefect", "automation", "create", "--from-file", str(file))


async def set_automations(url: str, folder: Path, *, within: Mapping[int, int]) -> None:
    """Set all for a webhook with the command; `within` replaces their windows, in seconds."""
    await save_notification_block(url)
    for file in FOLDER.glob("*.yaml"):
        (folder / file.name).write_text(_described(file.stem, within))
    with patch("deploy.notifications.FOLDER", folder):
        assert await asyncio.to_thread(set_notifications, f"custom-webhook/{BLOCK}") == 0


def _described(name: str, within: Mapping[int, int]) -> str:
    described = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    for automation in described.get("automations", [described]):
        trigger = automation["trigger"]
        trigger["within"] = within.get(trigger["within"], trigger["within"])
    return yaml.safe_dump(described)


async def emit(name: str, resource: dict[str, str], related: list[dict[str, str]], **payload: Any) -> None:
    """Emit an event over HTTP, in the place of a run."""
    event = {"event": name, "resource": resource, "related": related, "payload": payload}
    async with get_client() as client:
        response = await client._client.post("/events", json=[event | _now_and_id()])
        response.raise_for_status()


def related_to(run: FlowRun, deployment: str) -> list[dict[str, str]]:
    return [
        {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run"},
        {
            "prefect.resource.id": f"prefect.deployment.{run.deployment_id}",
            "prefect.resource.role": "deployment",
            "prefect.resource.name": deployment,
        },
    ]


def _now_and_id() -> dict[str, str]:
    return {"occurred": datetime.now(UTC).isoformat(), "id": str(uuid4())}


async def heartbeat(of: FlowRun) -> None:
    """Emit a heartbeat as Prefect does: with the name of the flow, but not that of the deployment."""
    async with get_client() as client:
        found = await client.read_flow(of.flow_id)
    related = [
        {
            "prefect.resource.id": f"prefect.flow.{found.id}",
            "prefect.resource.role": "flow",
            "prefect.resource.name": found.name,
        },
        _TAG,
    ]
    if of.deployment_id:
        deployment = f"prefect.deployment.{of.deployment_id}"
        related.append({"prefect.resource.id": deployment, "prefect.resource.role": "deployment"})
    await emit("prefect.flow-run.heartbeat", {"prefect.resource.id": f"prefect.flow-run.{of.id}"}, related)


async def actions_of(outcome: str) -> list[str]:
    """The flow runs on which automations acted, or failed to act."""
    wanted = EventFilter.model_validate({"event": {"name": [f"prefect.automation.action.{outcome}"]}})
    async with get_client() as client:
        events = (await client.read_events(wanted, limit=50)).events
    targets = [related.id for event in events for related in event.related if related.role == "target"]
    return [target.removeprefix("prefect.flow-run.") for target in targets]
