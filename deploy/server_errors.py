"""A failed request to the Prefect server: one line with the advice. Pure."""

import httpx
from prefect.exceptions import ObjectNotFound

from hetzner_cloud.sanitize import printable
from records.prefect_errors import describe_prefect_error

_MAX_REASON = 500
_REJECTED = "Are PREFECT_API_KEY or PREFECT_API_AUTH_STRING right, and may they change deployments?"
_LOOK = "See the log of the Prefect server."
_AFTERWARDS = "The steps printed above are complete, the next one may be incomplete: run it again to finish."


def format_failure(error: httpx.HTTPError | ObjectNotFound) -> str:
    """Say which request failed, what to do, and what has been done by then."""
    cause = _cause(error)
    if not isinstance(cause, httpx.HTTPStatusError):
        return f"The Prefect server did not respond: {describe_prefect_error(cause)}. {_AFTERWARDS}"
    advice = _REJECTED if cause.response.status_code in {401, 403} else _LOOK
    return f"The Prefect server {_format_response(cause)}. {advice} {_AFTERWARDS}"


def format_rejection(error: httpx.HTTPStatusError | ObjectNotFound) -> str:
    """Say which request the server has rejected, and its reason."""
    cause = _cause(error)
    if not isinstance(cause, httpx.HTTPStatusError):
        return describe_prefect_error(cause)
    reason = printable(cause.response.text, max_length=_MAX_REASON)
    return f"the Prefect server {_format_response(cause)}: {reason}"


def _cause(error: Exception) -> Exception:
    return error.http_exc if isinstance(error, ObjectNotFound) else error


def _format_response(error: httpx.HTTPStatusError) -> str:
    """Without the address, which may hold a password."""
    return f"returned {error.response.status_code} for {error.request.method} {error.request.url.path}"
