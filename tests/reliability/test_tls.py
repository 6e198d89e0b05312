"""TLS: who signs for the endpoint is always checked, and may be a private authority."""

import ssl
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import NotFoundError, TransportError
from hetzner_cloud.tls import tls_context
from tests.support.api_json import TOKEN
from tests.support.tls_servers import serve_https, write_certificate


@pytest.fixture(autouse=True)
def no_context_is_kept() -> Iterator[None]:
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


async def ask(server: ThreadingHTTPServer) -> None:
    endpoint = f"https://localhost:{server.server_port}/v1"
    try:
        async with HetznerCloudClient(ClientConfig(SecretStr(TOKEN), endpoint)) as client:
            await client.get_image(1)
    finally:
        server.shutdown()
        server.server_close()


async def test_an_endpoint_that_no_authority_signs_for_is_never_sent_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(TransportError, match="SSL_CERT_FILE") as caught:
        await ask(serve_https(write_certificate(tmp_path, "localhost")))
    assert caught.value.code == "unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)


async def test_the_file_of_a_private_authority_can_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(NotFoundError):  # it was asked, and answered
        await ask(serve_https(certificate))


async def test_the_name_of_the_endpoint_counts_even_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path, "elsewhere.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(serve_https(certificate))


def test_no_parameter_switches_the_check_off() -> None:
    context = tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert set(HetznerCloudCredentials.model_fields) == {"token", "endpoint", "rate_limit_reserve"}
    with pytest.raises(TypeError, match="verify"):
        ClientConfig(SecretStr(TOKEN), verify=False)  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError, match="verify"):
        HetznerCloudClient(ClientConfig(SecretStr(TOKEN)), verify=False)  # type: ignore[call-arg]  # as above
