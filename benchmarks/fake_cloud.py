"""The cloud of a benchmark: any number of sandboxes behind one address, in a separate process.

A request goes to the project whose token it has, as at Hetzner. Commands are lines of JSON on stdin, each
returns a line of statistics on stdout: a list of sandbox settings replaces all projects, `null` none.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import Sandbox
from sandbox.app import create_app
from sandbox.server import serve_app

_IDS_OF_A_PROJECT = 100_000


class CloudApp:
    """The ASGI application in front of the projects'."""

    def __init__(self) -> None:
        self.renew([])

    def renew(self, projects: list[dict[str, Any]]) -> None:
        """Replace all projects with these; as at Hetzner, an id is one project's only."""
        self._sandboxes = [
            Sandbox(**_defaults(number) | settings) for number, settings in enumerate(projects, 1)
        ]
        self._apps = {f"Bearer {one.token}".encode(): create_app(one) for one in self._sandboxes}
        self._transports: set[Any] = set()
        self._opened = self._max_open = self._in_flight = self._max_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._count_connection(scope["state"]["transport"])
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        try:
            await self._app_for(scope)(scope, receive, send)
        finally:
            self._in_flight -= 1

    def stats(self) -> dict[str, Any]:
        """Count the requests to all projects, and to each, in the order in which they were made.

        Times are seconds on this machine's monotonic clock, which all its processes share.
        """
        operations = Counter(record.operation for one in self._sandboxes for record in one.requests)
        return {
            "requests": operations.total(),
            "operations": dict(operations),
            "connections": self._opened,
            "connections_at_once": self._max_open,
            "in_flight": self._max_in_flight,
            "projects": [_project_stats(one) for one in self._sandboxes],
        }

    def _app_for(self, scope: Scope) -> ASGIApp:
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return self._apps.get(token) or next(iter(self._apps.values()))  # which rejects it

    def _count_connection(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's, or uvloop's
        if transport not in self._transports:
            self._opened += 1
            self._transports = {one for one in self._transports if not one.is_closing()} | {transport}
            self._max_open = max(self._max_open, len(self._transports))


def _defaults(number: int) -> dict[str, Any]:
    first = number * _IDS_OF_A_PROJECT
    return {"rate_limit": 10_000_000, "first_image_id": first, "first_action_id": first}


def _project_stats(sandbox: Sandbox) -> dict[str, Any]:
    snapshots = [image for image in sandbox.images.values() if image["type"] == "snapshot"]
    finished = [record.finished or time.monotonic() for record in sandbox.requests]
    return {
        "snapshots": len(snapshots),
        "protected": sum(image["protection"]["delete"] for image in snapshots),
        "requests": len(sandbox.requests),
        "started": sandbox.requests[0].started if sandbox.requests else None,
        "finished": max(finished, default=None),
    }


def main() -> None:
    """Serve until stdin ends; the first line on stdout is the endpoint."""
    cloud = CloudApp()
    with serve_app(cloud) as endpoint:
        print(json.dumps(endpoint), flush=True)
        for line in sys.stdin:
            projects = json.loads(line)
            if projects is not None:
                cloud.renew(projects)
            print(json.dumps(cloud.stats()), flush=True)


if __name__ == "__main__":
    main()
