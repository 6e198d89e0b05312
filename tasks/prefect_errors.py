"""Errors of requests to the Prefect API, described without the address, which may hold a password."""

import httpx

from hetzner_cloud.sanitize import printable
from reporting.run_logging import run_logger


def describe_prefect_error(error: Exception) -> str:
    """Describe in one line why a request to the Prefect API failed."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the Prefect API returned {error.response.status_code}"
    return printable(f"{type(error).__name__}: {error}")


def log_unpublished(error: Exception) -> str:
    """Log that a report could not be published, and return why."""
    reason = describe_prefect_error(error)
    run_logger().error("The report could not be published: %s", reason)
    return reason
