"""The ASGI application: routes under /v1, behind the middleware."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from sandbox import api_errors
from sandbox.handlers import make_handler
from sandbox.http_responses import json_response
from sandbox.middleware import RequestMiddleware
from sandbox.operations import OPERATIONS
from sandbox.request import WHOLE_NUMBER
from sandbox.sandbox import Sandbox

Handler = Callable[[Request], Awaitable[Response]]

PREFIX = "/v1"


class _IdConvertor(IntegerConvertor):
    regex = WHOLE_NUMBER


register_url_convertor("id", _IdConvertor())


def create_app(sandbox: Sandbox) -> ASGIApp:
    """Make the application that serves a sandbox.

    The handlers are plain functions of the request: they make their responses themselves, and
    validating those, as FastAPI does for annotated handlers, would only cost time.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    for path, handlers in _handlers(sandbox).items():
        app.router.add_route(PREFIX + path, _dispatch(handlers), methods=list(handlers))
    app.add_exception_handler(HTTPException, _not_routed)
    return RequestMiddleware(app, sandbox)


def _handlers(sandbox: Sandbox) -> Mapping[str, Mapping[str, Handler]]:
    """Make the handlers of each path by method: as one route, it knows which methods are allowed."""
    handlers: defaultdict[str, dict[str, Handler]] = defaultdict(dict)
    for name, (method, path, operation) in OPERATIONS.items():
        handlers[path][method] = make_handler(sandbox, name, operation)
    return handlers


def _dispatch(handlers: Mapping[str, Handler]) -> Handler:
    async def dispatch(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return dispatch


async def _not_routed(_request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    rejection = api_errors.method_not_allowed() if headers else api_errors.not_found("endpoint")
    response = json_response(rejection.status, rejection.body)
    if headers:
        response.headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return response
