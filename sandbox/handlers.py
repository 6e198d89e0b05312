"""How one request becomes an answer."""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.api_errors import RefusedError
from sandbox.fault_responses import go_wrong
from sandbox.faults import Fault
from sandbox.http_responses import json_answer
from sandbox.operations import Operation
from sandbox.request import Call
from sandbox.sandbox import Sandbox


def make_endpoint(
    sandbox: Sandbox, name: str, operation: Operation
) -> Callable[[Request], Awaitable[Response]]:
    """Make what the router calls for an operation."""

    async def endpoint(request: Request) -> Response:
        record = request.state.record
        try:
            body = await request.body()
        except ClientDisconnect:  # nobody is there to be answered
            return Response(status_code=400)
        call = Call(operation=name, query=record.query, body=body, **request.path_params)
        record.operation, record.json = name, _json_or_none(call.body)

        def carry_out() -> Response:
            return _carry_out(sandbox, operation, call)

        fault = _fault_of(sandbox, call)
        return carry_out() if fault is None else await go_wrong(fault, carry_out, request)

    return endpoint


def _carry_out(sandbox: Sandbox, operation: Operation, call: Call) -> Response:
    try:
        return json_answer(*operation(sandbox, call))
    except RefusedError as refusal:
        return json_answer(refusal.status, refusal.body)


def _fault_of(sandbox: Sandbox, call: Call) -> Fault | None:
    if not sandbox.faults:
        return None
    image_ids = {call.image_id}
    if not call.image_id:
        asked = [int(value) for value in call.values("id") if value.isdigit()] + [call.action_id]
        image_ids |= {action.image_id for action in sandbox.state.actions(asked)}
    return sandbox.faults.take_answer_fault(call.operation, image_ids)


def _json_or_none(body: bytes) -> object:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None
