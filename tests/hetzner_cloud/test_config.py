"""The connection to one project: which endpoints are the same."""

import pytest

from hetzner_cloud.config import DEFAULT_ENDPOINT, normalize_endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://api.hetzner.cloud/v1",
        "https://api.hetzner.cloud/v1/",
        "HTTPS://API.Hetzner.Cloud/v1",
        "https://api.hetzner.cloud:443/v1//",
    ],
)
def test_endpoints_that_mean_the_same_are_the_same(endpoint: str) -> None:
    assert normalize_endpoint(endpoint) == DEFAULT_ENDPOINT


@pytest.mark.parametrize(
    ("endpoint", "normalized"),
    [
        ("https://api.hetzner.cloud/V1", "https://api.hetzner.cloud/V1"),
        ("https://api.hetzner.cloud:80/v1", "https://api.hetzner.cloud:80/v1"),
        ("http://127.0.0.1:80/v1", "http://127.0.0.1/v1"),
        ("http://LOCALHOST:8080/v1", "http://localhost:8080/v1"),
        ("http://[::1]:8080/v1/", "http://[::1]:8080/v1"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_what_makes_two_endpoints_different_is_kept(endpoint: str, normalized: str) -> None:
    assert normalize_endpoint(endpoint) == normalized
