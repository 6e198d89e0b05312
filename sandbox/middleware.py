"""What every request passes, whatever it requests: the record, the token, the rate limit, the headers."""

import asyncio
import hmac
import time
from secrets import token_hex
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import api_errors
from sandbox.http_responses import json_response
from sandbox.request_log import RequestRecord
from sandbox.sandbox import Sandbox

_WITHOUT_BODY = frozenset({204, 304})  # a fault may have such a status, and something to say


class RequestMiddleware:
    """The ASGI application around the routes."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._in_flight += 1
        record = _make_record(scope, self._in_flight)
        scope["state"]["record"] = record
        self._sandbox.keep(record)
        try:
            await self._respond(scope, receive, send, record)
        finally:
            record.finished = time.monotonic()
            self._in_flight -= 1

    async def _respond(self, scope: Scope, receive: Receive, send: Send, record: RequestRecord) -> None:
        if self._sandbox.settings.latency_seconds:
            await asyncio.sleep(self._sandbox.settings.latency_seconds)
        rejection = self._rejection(scope)
        record.remaining = self._sandbox.bucket.remaining
        app = self._app if rejection is None else json_response(rejection.status, rejection.body)
        headers = [(b"x-correlation-id", token_hex(8).encode()), *self._sandbox.bucket.headers()]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                if "by_gateway" not in scope["state"]:
                    message["headers"] = [*message["headers"], *headers]
            elif record.status in _WITHOUT_BODY:
                message["body"] = b""
            await send(message)

        await app(scope, receive, send_with_headers)

    def _rejection(self, scope: Scope) -> api_errors.RequestRejectedError | None:
        settings = self._sandbox.settings
        tokens = [value for name, value in scope["headers"] if name == b"authorization"]
        token = tokens[0] if len(tokens) == 1 else b""  # of several, no one can say which one counts
        read_only = _is_bearer(token, settings.read_only_token)
        if not read_only and not _is_bearer(token, settings.token):
            return api_errors.unauthorized()
        if not self._sandbox.bucket.take():
            return api_errors.rate_limit_exceeded()
        if read_only and scope["method"] not in {"GET", "HEAD"}:
            return api_errors.token_readonly()
        return None


def _is_bearer(header: bytes, token: str | None) -> bool:
    return token is not None and hmac.compare_digest(header, b"Bearer " + token.encode())


def _make_record(scope: Scope, in_flight: int) -> RequestRecord:
    return RequestRecord(
        method=scope["method"],
        path=scope["path"],
        query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        started=time.monotonic(),
        client_port=scope["client"][1],
        in_flight=in_flight,
    )
