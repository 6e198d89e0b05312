"""A proxy before a Prefect server that calls back after each write: there a process can be killed."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

_HOP_BY_HOP = {"transfer-encoding", "connection", "content-length"}
_READS = ("/filter", "/count", "/paginate")


@contextmanager
def counting_proxy(
    api_url: str, after_write: Callable[[str], None], *, refuse: Callable[[str], int] = lambda _: 0
) -> Iterator[str]:
    """Serve on loopback until the context ends; yields the URL to use as PREFECT_API_URL.

    `after_write` gets method and path of a write that the server has committed and the client not yet seen.
    `refuse` gets those of each write, and returns the status to respond with instead, or 0.
    """
    target = urlsplit(api_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command != "GET" and (status := refuse(f"{self.command} {self.path}")):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            upstream = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            upstream.request(self.command, self.path, body, {**self.headers, "Host": target.netloc})
            response = upstream.getresponse()
            content = response.read()
            upstream.close()
            if self.command != "GET" and not self.path.endswith(_READS):
                after_write(f"{self.command} {self.path}")
            with suppress(OSError):  # the client may be gone
                self.send_response(response.status)
                for name, value in response.getheaders():
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = forward  # noqa: N815 - names of the library

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: object) -> None:
            """A killed client closes its connection."""

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{target.path}"
        server.shutdown()
