"""Serving a sandbox over HTTP, from a separate thread, on loopback only."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sandbox.app import PREFIX, create_app
from sandbox.sandbox import Sandbox


@contextmanager
def serve(sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Sandbox]:
    """Serve a sandbox while the context lasts.

    Args:
        sandbox: What is served; its `endpoint` is set.
        host: A loopback address.
        port: 0 takes a free one.

    Raises:
        ValueError: The host is not a loopback address.
        OSError: The port is taken.
    """
    with serve_app(create_app(sandbox), host=host, port=port) as sandbox.endpoint:
        yield sandbox


@contextmanager
def serve_app(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an application as `serve` does a sandbox; yields the endpoint's URL."""
    listener = _listen(host, port)
    server = _Server(app, listener)
    name = f"[{host}]" if ":" in host else host
    thread = threading.Thread(target=server.run, name="sandbox", daemon=True)
    thread.start()
    try:
        yield f"http://{name}:{listener.getsockname()[1]}{PREFIX}"
    finally:
        server.stop()
        thread.join()


class ClosableConnection(H11Protocol):
    """A connection that the application can close: its transport is in the request's state."""

    def __init__(self, config: uvicorn.Config, server_state: ServerState) -> None:
        self._request_state: dict[str, Any] = {}
        super().__init__(config, server_state, self._request_state)
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._request_state["transport"] = transport
        # asyncio does this only for sockets it has made itself; without it responses wait 40 ms for an ACK
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)


class _Server:
    """uvicorn's protocol on a listening socket, without uvicorn's signal handlers, log and ticks.

    uvicorn.Server checks ten times a second whether it should end, and then waits for idle connections: too
    slow for tests that start one each.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none")
        self._state = ServerState()
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self) -> None:
        self._config.load()
        server = await self._loop.create_server(
            lambda: ClosableConnection(self._config, self._state), sock=self._listener
        )
        await self._stopped.wait()
        server.close()
        for connection in list(self._state.connections):
            connection.transport.abort()  # delayed responses notice, and end
        await asyncio.gather(*self._state.tasks, return_exceptions=True)


def _listen(host: str, port: int) -> socket.socket:
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"The sandbox listens on loopback only, not on {host}.")
    if not 0 <= port <= 65_535:
        raise ValueError(f"A port is 0 to 65535, not {port}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)
