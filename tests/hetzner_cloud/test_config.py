"""Which project a client connects to."""

import pytest

from hetzner_cloud.config import normalize_endpoint


@pytest.mark.parametrize(
    ("endpoint", "normalized"),
    [
        ("https://api.hetzner.cloud/v1", "https://api.hetzner.cloud/v1"),
        ("https://API.Hetzner.Cloud/v1/", "https://api.hetzner.cloud/v1"),
        ("HTTPS://api.hetzner.cloud:443/v1", "https://api.hetzner.cloud/v1"),
        ("http://localhost:80/v1", "http://localhost/v1"),
        ("http://localhost:443/v1", "http://localhost:443/v1"),
        ("https://proxy.example:8443/Hetzner/v1", "https://proxy.example:8443/Hetzner/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("http://[::1]/", "http://[::1]"),
    ],
)
def test_all_spellings_of_an_endpoint_are_the_same_normalized(endpoint: str, normalized: str) -> None:
    assert normalize_endpoint(endpoint) == normalized
    assert normalize_endpoint(normalized) == normalized
