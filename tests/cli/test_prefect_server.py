"""The Prefect server is tried before a command does anything; what is wrong is named with its variable."""

from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from prefect.settings import temporary_settings

from cli.endings import CommandFailedError
from cli.prefect_server import ensure_server
from playground.server import PrefectServer, free_port
from tests.support.loopback_servers import on_loopback

PASSWORD = "not-to-be-printed"
VERSIONS = {"2": b'"2.20.1"', "4": b'"4.0.0"', "null": b"null", "list": b"[1]"}


class _Handler(BaseHTTPRequestHandler):
    """The first part of the path says what it returns: a status, a version, or a page."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        part = self.path.split("/")[1]
        body = VERSIONS.get(part, b"<html>Welcome</html>")
        self.send_response(int(part) if part.isdigit() and len(part) == 3 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's own name

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server that is no Prefect server, and no proxy before it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    server = on_loopback(_Handler)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def complaint(**settings: object) -> str:
    keys = {name.replace("__", "."): value for name, value in settings.items()}
    with temporary_settings({"client.max_retries": 0, **keys}), pytest.raises(CommandFailedError) as caught:
        ensure_server()
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("://", "PREFECT_API_URL is not a valid URL"),
        ("127.0.0.1:4200/api", "PREFECT_API_URL is not a valid URL"),
        ("http:///api", "PREFECT_API_URL is not a valid URL"),
        ("http://127.0.0.1:99999/api", "PREFECT_API_URL is not a valid URL"),
        (" http://127.0.0.1:4200/api", "PREFECT_API_URL is not a valid URL"),
        (f"http://user:{PASSWORD}@127.0.0.1/api", "PREFECT_API_AUTH_STRING"),
        (f"ftp://user:{PASSWORD}@127.0.0.1:x/api", "PREFECT_API_AUTH_STRING"),
        ("http://FREE/api", "Is PREFECT_API_URL right, and the server running?"),
        ("https://ADDRESS/api", "PREFECT_API_URL starts with http://"),
        (
            "http://ADDRESS/page/api",
            "is not a Prefect API (JSONDecodeError). Does PREFECT_API_URL end",
        ),
        ("http://ADDRESS/null/api", "is not a Prefect API (ValueError). Does PREFECT_API_URL end with /api"),
        ("http://ADDRESS/list/api", "is not a Prefect API (ValueError). Does PREFECT_API_URL end with /api"),
        ("http://ADDRESS/404/api", "returned 404. Does PREFECT_API_URL end with /api"),
        ("http://ADDRESS/503/api", "returned 503. Does PREFECT_API_URL end with /api"),
        ("http://ADDRESS/2/api", "has Prefect 2.20.1, this machine has Prefect 3."),
        ("http://ADDRESS/4/api", "has Prefect 4.0.0, this machine has Prefect 3."),
    ],
)
def test_a_server_that_cannot_be_used_is_named_with_its_variable(address: str, url: str, named: str) -> None:
    url = url.replace("ADDRESS", address).replace("FREE", f"127.0.0.1:{free_port()}")
    message = complaint(api__url=url)
    assert named in message
    assert PASSWORD not in message


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "PREFECT_API_AUTH_STRING is not set"),
        ({"api__auth_string": PASSWORD}, "PREFECT_API_AUTH_STRING is wrong"),
        ({"api__key": PASSWORD}, "PREFECT_API_KEY is for Prefect Cloud only"),
        ({"api__key": f"{PASSWORD}ä"}, "PREFECT_API_KEY or PREFECT_CLIENT_CUSTOM_HEADERS has a character"),
        ({"api__key": f"{PASSWORD}\n"}, "PREFECT_API_KEY or PREFECT_CLIENT_CUSTOM_HEADERS has a character"),
        ({"cloud__api_url": "http://ADDRESS/401"}, "PREFECT_API_KEY is not set"),
        ({"cloud__api_url": "http://ADDRESS/401", "api__key": PASSWORD}, "PREFECT_API_KEY is invalid"),
        ({"api__ssl_cert_file": "/nothing"}, "PREFECT_API_SSL_CERT_FILE"),
        ({"api__ssl_cert_file": __file__}, "PREFECT_API_SSL_CERT_FILE"),
    ],
)
def test_what_a_server_needs_to_accept_requests_is_named(
    address: str, settings: Mapping[str, str], named: str
) -> None:
    settings = {name: value.replace("ADDRESS", address) for name, value in settings.items()}
    message = complaint(api__url=f"http://{address}/401/api", **settings)
    assert named in message
    assert PASSWORD not in message


def test_a_proxy_in_between_is_named_without_its_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{free_port()}")
    message = complaint(api__url=f"http://{address}/api")
    assert "A proxy is used: HTTP_PROXY. List hosts that need none in NO_PROXY." in message
    assert PASSWORD not in message


def test_both_variables_are_named_when_no_server_may_be_used() -> None:
    message = complaint(api__url="", server__ephemeral__enabled=False)
    assert "PREFECT_API_URL is not set" in message
    assert "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE" in message


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.touch()
    message = complaint(api__url="", server__ephemeral__enabled=True, home=home / "prefect")
    assert "PREFECT_HOME: no file can be written" in message


def test_a_server_that_can_be_used_is_accepted(prefect_api: PrefectServer) -> None:
    ensure_server()


def test_certificates_are_read_before_a_server_is_started(tmp_path: Path) -> None:
    message = complaint(api__url="", server__ephemeral__enabled=True, api__ssl_cert_file=str(tmp_path))
    assert "PREFECT_API_SSL_CERT_FILE" in message
