"""Servers on loopback that respond with whatever a test wants."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class RecordingHandler(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 - of the one server of a test

    def do_GET(self) -> None:
        self.asked.append(str(self.headers.get("Authorization")))
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - http.server's own name

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""


def on_loopback(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client leaves early
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    return server
