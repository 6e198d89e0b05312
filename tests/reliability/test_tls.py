"""TLS: who signs for the endpoint is always checked, and may be a private authority."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from blocks.credentials import HetznerCloudCredentials
from hetzner_cloud.client import HetznerCloudClient
from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import NotFoundError, TransportError
from hetzner_cloud.tls import tls_context
from tests.support.api_json import TOKEN
from tests.support.loopback_servers import RecordingHandler, on_loopback

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private authority")])


class _NotFound(RecordingHandler):
    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        self.send_response(404)
        self.end_headers()


def write_certificate(folder: Path, host: str) -> Path:
    """A certificate that signs for itself, with its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def serve_https(certificate: Path) -> ThreadingHTTPServer:
    server = on_loopback(_NotFound)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


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


async def test_an_endpoint_that_nobody_signs_for_is_never_sent_the_token(
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
