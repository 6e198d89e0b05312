"""What the environment sets for all connections is rejected once, by the name of its variable."""

from collections.abc import Iterator

import pytest

from hetzner_cloud.environment import check_environment
from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.tls import tls_context


@pytest.fixture(autouse=True)
def no_context_is_kept() -> Iterator[None]:
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HETZNER_CLOUD_MAX_RETRIES", "many"),
        ("HETZNER_CLOUD_RATE_LIMIT_TIMEOUT_SECONDS", "nan"),
        ("HTTPS_PROXY", "ftp://proxy.test"),
        ("SSL_CERT_FILE", "/nowhere.pem"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    for other in ("https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
    with pytest.raises(InvalidArgumentError, match=name):
        check_environment()
