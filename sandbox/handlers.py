"""How one HTTP request becomes a response."""

import re
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.api_errors import RequestRejectedError
from sandbox.fault_responses import respond_with_fault
from sandbox.faults import Fault
from sandbox.http_responses import json_response
from sandbox.operations import Operation
from sandbox.request import WHOLE_NUMBER, OperationRequest
from sandbox.sandbox import Sandbox


def make_handler(
    sandbox: Sandbox, name: str, operation: Operation
) -> Callable[[Request], Awaitable[Response]]:
    """Make what the router calls for an operation."""

    async def handle(http_request: Request) -> Response:
        record = http_request.state.record
        try:
            body = await http_request.body()
        except ClientDisconnect:  # no one is left to receive a response
            return Response(status_code=400)
        request = OperationRequest(operation=name, query=record.query, body=body, **http_request.path_params)
        record.operation, record.json = name, _json_or_none(body)

        def execute() -> Response:
            return _execute(sandbox, operation, request)

        fault = _take_fault(sandbox, request)
        return execute() if fault is None else await respond_with_fault(fault, execute, http_request)

    return handle


def _execute(sandbox: Sandbox, operation: Operation, request: OperationRequest) -> Response:
    try:
        return json_response(*operation(sandbox, request))
    except RequestRejectedError as error:
        return json_response(error.status, error.body)


def _take_fault(sandbox: Sandbox, request: OperationRequest) -> Fault | None:
    if not sandbox.faults:
        return None
    return sandbox.faults.take_response_fault(request.operation, _image_ids(sandbox, request))


def _image_ids(sandbox: Sandbox, request: OperationRequest) -> set[int]:
    """Return the images that a request is about; of actions, those that they change."""
    if request.image_id:
        return {request.image_id}
    numbers = [value for value in request.values("id") if re.fullmatch(WHOLE_NUMBER, value)]
    action_ids = [*map(int, numbers), request.action_id]
    return {action.image_id for action in sandbox.state.actions(action_ids)} | {0}


def _json_or_none(body: bytes) -> object:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return None
