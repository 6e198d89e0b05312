"""One sandbox: the project it stands for, the active faults, and the requests it received."""

import time
from typing import Any

from sandbox.bucket import Bucket
from sandbox.clock import Clock
from sandbox.fault_injector import FaultInjector
from sandbox.images import ImageRecord
from sandbox.prices import make_prices
from sandbox.request_log import RequestRecord
from sandbox.servers import ServerRecord
from sandbox.settings import SandboxSettings
from sandbox.state import State

_MAX_LOGGED_REQUESTS = 100_000


class Sandbox:
    """A fake server for one project in Hetzner Cloud; `serve` puts it on loopback.

    Attributes:
        settings: What it was made of.
        state: Its images, actions and servers.
        prices: What `GET /pricing` returns; can be changed.
        bucket: Its rate limit; `bucket.remaining` can be set.
        faults: The faults to inject.
        requests: The requests it received, in order.
        endpoint: The URL that stands for https://api.hetzner.cloud/v1; empty until it is served.
    """

    def __init__(self, *, clock: Clock = time.time, **settings: object) -> None:
        """Make a project.

        Args:
            clock: The time in UNIX seconds, for actions and the rate limit.
            settings: The fields of SandboxSettings.
        """
        self.settings = SandboxSettings.model_validate(settings)
        self.clock = clock
        self.state = State(self.settings, clock)
        self.prices = make_prices()
        refill_per_second = self.settings.rate_refill_per_second or self.settings.rate_limit / 3600
        self.bucket = Bucket(self.settings.rate_limit, refill_per_second, clock)
        self.faults = FaultInjector()
        self.requests: list[RequestRecord] = []
        self.endpoint = ""

    @property
    def token(self) -> str:
        return self.settings.token

    @property
    def images(self) -> dict[int, ImageRecord]:
        """All images by id; what is changed in a record is seen by the next request."""
        return self.state.images

    @property
    def servers(self) -> dict[int, ServerRecord]:
        """All servers by id; `image` is an image's id, and is shown as that image, see `show_server`."""
        return self.state.servers

    @property
    def actions(self) -> list[dict[str, Any]]:
        """All actions as the API shows them now, oldest first; the unknown ones are left out."""
        return [action.as_json(self.clock()) for action in self.state.actions()]

    def calls(self, *operations: str) -> list[RequestRecord]:
        """Return the requests that called one of these operations, in order."""
        return [record for record in self.requests if record.operation in operations]

    def add_snapshot(self, **fields: object) -> int:
        """Add a snapshot behind the client's back; `fields` are those of the API's image. Returns its id."""
        return self.state.add_snapshot(**fields)

    def add_server(self, **fields: object) -> int:
        """Add a server behind the client's back; its `image` is the id of an image. Returns its id."""
        return self.state.add_server(**fields)

    def delete_server(self, server_id: int) -> None:
        """Delete a server behind the client's back; its snapshots stay."""
        del self.state.servers[server_id]

    def delete_image(self, image_id: int) -> None:
        """Delete an image behind the client's back, whatever protects it."""
        self.state.delete_image(image_id)

    def set_protection(self, image_id: int, *, delete: bool) -> int:
        """Change protection at once behind the client's back. Returns the id of the action that shows it."""
        return self.state.set_protection(image_id, delete=delete).id

    def keep(self, record: RequestRecord) -> None:
        """Log a request; of a sandbox that runs for days the oldest are dropped."""
        if len(self.requests) >= _MAX_LOGGED_REQUESTS:
            del self.requests[: _MAX_LOGGED_REQUESTS // 2]
        self.requests.append(record)
