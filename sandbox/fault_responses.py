"""The answers that faults make, see `faults` for what each kind does."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api_errors import error_body
from sandbox.faults import Fault
from sandbox.http_responses import (
    CutResponse,
    GatewayResponse,
    NoResponse,
    disconnected,
    gateway_page,
    to_json,
)

_CODES = {
    400: "json_error",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    410: "deprecated_api_endpoint",
    412: "resource_unavailable",
    422: "invalid_input",
    423: "locked",
    429: "rate_limit_exceeded",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
}
_WRONG_SHAPE = b'{"unexpected":[]}'


async def respond_with_fault(fault: Fault, execute: Callable[[], Response], request: Request) -> Response:
    """Respond as the fault demands, and execute the request only where it says so."""
    match fault.kind:
        case "delay":
            return NoResponse() if await _client_leaves(request, fault.seconds) else execute()
        case "drop":
            return NoResponse()
        case "drop_after":
            execute()
            return NoResponse()
        case "error":
            return _error(fault, fault.status or 500)
        case _:
            return _corrupted(fault, execute)


def _corrupted(fault: Fault, execute: Callable[[], Response]) -> Response:
    status = fault.status or (502 if fault.kind in {"html", "empty"} else 200)
    whole = execute() if status < 300 else _error(fault, status)
    status = fault.status or (whole.status_code if status < 300 else status)
    match fault.kind:
        case "html":
            return GatewayResponse(_body(fault, gateway_page(status)), status, media_type="text/html")
        case "empty":
            return GatewayResponse(b"", status)
        case "cut":
            return CutResponse(whole.body, status, media_type="application/json")
        case "truncated":
            cut_short = bytes(whole.body[: len(whole.body) // 2])
            return Response(_body(fault, cut_short), status, media_type="application/json")
        case _:
            return Response(_body(fault, _WRONG_SHAPE), status, media_type="application/json")


def _error(fault: Fault, status: int) -> Response:
    code = _CODES.get(status, "server_error") if fault.code is None else fault.code
    body = error_body(code, fault.message, fault.details)
    if not code:
        del body["error"]["code"]
    return Response(_body(fault, to_json(body)), status, media_type="application/json")


def _body(fault: Fault, default: bytes) -> bytes:
    return default if fault.body is None else fault.body.encode(errors="surrogatepass")


async def _client_leaves(request: Request, seconds: float) -> bool:
    try:
        await asyncio.wait_for(disconnected(request.receive), seconds)
    except TimeoutError:
        return False
    return True
