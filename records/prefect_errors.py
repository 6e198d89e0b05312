"""Errors of requests to the Prefect API, described without the address, which may hold a password."""

from json import JSONDecodeError

import httpx
from prefect.exceptions import ObjectNotFound

from hetzner_cloud.sanitize import printable

_TRANSIENT_CLIENT_ERRORS = (408, 429)


def describe_prefect_error(error: Exception) -> str:
    """Describe in one line why a request to the Prefect API failed."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the Prefect API returned {error.response.status_code}"
    if isinstance(error, ObjectNotFound):
        return "the Prefect API returned 404"
    return printable(f"{type(error).__name__}: {error}")


def is_transient(error: Exception) -> bool:
    """Return whether a request to the Prefect API may succeed later: no response, or one of a busy server.

    Prefect's client has retried most of these for about a minute by then. A 200 with text that is no JSON is
    the page of a proxy that stands in for the server.
    """
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return status >= 500 or status in _TRANSIENT_CLIENT_ERRORS
    return isinstance(error, httpx.TransportError | JSONDecodeError)


def unexpected(error: Exception) -> Exception | None:
    """Return an error whose traceback is worth a log; one of a request says all, and may name the address."""
    return None if isinstance(error, httpx.HTTPError | ObjectNotFound) else error
