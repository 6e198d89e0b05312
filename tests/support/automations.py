"""The automations of docs/automations on a real server, and a webhook that receives their notifications."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect.blocks.notifications import CustomWebhookNotificationBlock

from playground.server import PrefectServer
from tests.support.loopback_servers import on_loopback
from tests.support.shell import ROOT, from_the_shell

FOLDER = ROOT / "docs" / "automations"
Notification = dict[str, str]


def create_automation(server: PrefectServer, name: str, folder: Path, **replaced: str) -> None:
    """Create the automation of a file as an operator does, with some of its text replaced."""
    text = (FOLDER / name).read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text)
    command = (sys.executable, "-m", "prefect", "automation", "create", "--from-file", str(folder / name))
    done = from_the_shell(server, *command)
    assert done.returncode == 0, done.stdout + done.stderr


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, list[Notification]]]:
    """Receive notifications; yields the id of the block that sends them, and what was received."""
    received: list[Notification] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Print nothing."""

    server = on_loopback(Receiver)
    content = {"subject": "{{subject}}", "body": "{{body}}"}
    url = f"http://127.0.0.1:{server.server_port}/"
    block = CustomWebhookNotificationBlock(name="webhook", url=url, json_data=content)
    try:
        yield str(await block.asave(f"webhook-{uuid4().hex[:8]}")), received
    finally:
        server.shutdown()
        server.server_close()
