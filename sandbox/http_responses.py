"""Responses as they are sent: whole ones, those of a gateway, and those that never arrive."""

import json
import socket
import struct
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_GATEWAY_PAGE = b"<html><head><title>%d</title></head><body><h1>%d</h1><hr>gateway</body></html>"


def json_response(status: int, payload: dict[str, Any] | None) -> Response:
    """Make a response with JSON, or with no body at all."""
    if payload is None:
        return Response(status_code=status)
    return Response(to_json(payload), status, media_type="application/json")


def to_json(payload: dict[str, Any]) -> bytes:
    """Write JSON, also half a surrogate pair and integers of more than 64 bits, which orjson does not."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        return json.dumps(payload).encode()


class GatewayResponse(Response):
    """A response that the API itself has never seen: it lacks the API's headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["by_gateway"] = True
        await super().__call__(scope, receive, send)


def gateway_page(status: int) -> bytes:
    return _GATEWAY_PAGE % (status, status)


class NoResponse(Response):
    """Reset the connection without a response."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        connection = scope["state"]["transport"].get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
        await close_connection(scope, receive)


class CutResponse(Response):
    """Send half of the body, then close the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await close_connection(scope, receive)


async def close_connection(scope: Scope, receive: Receive) -> None:
    """Close the client's connection, see `server.ClosableConnection`; what was sent before still arrives."""
    scope["state"]["transport"].close()
    await disconnected(receive)


async def disconnected(receive: Receive) -> None:
    """Wait until the connection is closed; the request must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
