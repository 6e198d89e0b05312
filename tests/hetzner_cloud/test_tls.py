"""Certificates that cannot be used: named by their variable, before any request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.settings import Settings
from hetzner_cloud.tls import tls_context, trusted_certificates
from hetzner_cloud.transport import Transport


@pytest.fixture(autouse=True)
def no_context_is_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


def rejection() -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        Transport(ClientConfig(SecretStr("a-token-of-no-project")), Settings())
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it holds no certificate in PEM format"),
        (b"this is no certificate", "it holds no certificate in PEM format"),
        (b"\x30\x82\x00\x00", "it holds no certificate in PEM format"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "it holds no certificate in PEM format",
        ),
    ],
    ids=["missing", "empty", "text", "binary", "broken"],
)
def test_a_file_that_cannot_be_used_is_named_when_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert rejection() == f"SSL_CERT_FILE={path} cannot be used: {reason}."


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert rejection().startswith(f"SSL_CERT_FILE={tmp_path} cannot be used: ")


@pytest.mark.parametrize("name", ["missing", "empty", "missing:empty", ":"])
def test_a_folder_without_certificates_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSL_CERT_DIR", name)
    assert rejection() == f"SSL_CERT_DIR={name} cannot be used: there is no such folder, or it is empty."


def test_a_folder_with_files_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pem").touch()
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}:/nowhere")
    tls_context()
    assert trusted_certificates() == f"SSL_CERT_DIR={tmp_path}:/nowhere"


def test_the_folder_does_not_count_beside_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert rejection().startswith(f"SSL_CERT_FILE={tmp_path}")


def test_the_default_is_named() -> None:
    assert trusted_certificates() == "the package certifi"
