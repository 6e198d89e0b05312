"""Connections that fail: what does not speak TLS, and whose certificates are trusted, is said."""

import asyncio
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import TransportError
from hetzner_cloud.requests import ApiRequest
from hetzner_cloud.settings import Settings
from hetzner_cloud.tls import tls_context
from hetzner_cloud.transport import Transport
from tests.support.api_json import TOKEN
from tests.support.loopback_servers import RecordingHandler, on_loopback
from tests.support.tls_servers import serve_https, write_certificate

LOOKS_FOREIGN = (
    "does not look like the Hetzner Cloud API: check the endpoint of this project, https://localhost:"
)


@pytest.fixture(autouse=True)
def certificates_of_the_default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


async def error_of(server: ThreadingHTTPServer, scheme: str) -> str:
    config = ClientConfig(SecretStr(TOKEN), f"{scheme}://localhost:{server.server_port}/v1")
    try:
        async with Transport(config, Settings()) as transport:
            with pytest.raises(TransportError) as caught:
                await transport.send(ApiRequest("GET", "/images"))
    finally:
        server.shutdown()
        server.server_close()
    return str(caught.value)


async def test_a_server_without_tls_is_said_not_to_be_the_api() -> None:
    error = await error_of(on_loopback(RecordingHandler), "https")
    assert "One side speaks TLS, the other does not" in error
    assert LOOKS_FOREIGN in error


async def test_the_scheme_is_named_when_a_server_with_tls_hangs_up(tmp_path: Path) -> None:
    error = await error_of(serve_https(write_certificate(tmp_path, "localhost")), "http")
    assert "If it expects TLS, the endpoint must start with https://" in error


async def test_a_tls_alert_in_response_to_http_is_recognized() -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(alert, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Transport(
            ClientConfig(SecretStr(TOKEN), f"http://127.0.0.1:{port}/v1"), Settings()
        ) as transport:
            with pytest.raises(TransportError, match="One side speaks TLS, the other does not"):
                await transport.send(ApiRequest("GET", "/images"))


async def test_the_trusted_certificates_are_named_when_another_authority_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    other = write_certificate(tmp_path / "other", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    error = await error_of(serve_https(write_certificate(tmp_path, "localhost")), "https")
    assert f"The trusted certificates are those of SSL_CERT_FILE={other}" in error
    assert "CERTIFICATE_VERIFY_FAILED" in error
