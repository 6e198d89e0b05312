"""The ASGI application: routes under /v1, behind the middleware."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from sandbox import api_errors
from sandbox.handlers import make_handler
from sandbox.http_responses import json_response
from sandbox.middleware import RequestMiddleware
from sandbox.operations import OPERATIONS
from sandbox.sandbox import Sandbox

PREFIX = "/v1"


def create_app(sandbox: Sandbox) -> ASGIApp:
    """Make the application that serves a sandbox.

    The handlers are plain functions of the request: they make their responses themselves, and
    validating those, as FastAPI does for annotated handlers, would only cost time.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    for name, (method, path, operation) in OPERATIONS.items():
        app.router.add_route(PREFIX + path, make_handler(sandbox, name, operation), methods=[method])
    app.add_exception_handler(HTTPException, _not_routed)
    return RequestMiddleware(app, sandbox)


async def _not_routed(_request: Request, error: Exception) -> Response:
    wrong_method = isinstance(error, HTTPException) and error.status_code == 405
    rejection = api_errors.method_not_allowed() if wrong_method else api_errors.not_found("endpoint")
    return json_response(rejection.status, rejection.body)
