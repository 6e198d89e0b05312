"""Errors of requests to the Prefect API, described without the address, which may hold a password."""

import httpx

from hetzner_cloud.sanitize import printable


def describe_prefect_error(error: Exception) -> str:
    """Describe in one line why a request to the Prefect API failed."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the Prefect API returned {error.response.status_code}"
    return printable(f"{type(error).__name__}: {error}")
