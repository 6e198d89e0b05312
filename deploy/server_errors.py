"""A request to the Prefect server that failed: one line that says what to do. Pure."""

import httpx
from prefect.exceptions import ObjectNotFound

from records.prefect_errors import describe_prefect_error

_REJECTED = "Are PREFECT_API_KEY or PREFECT_API_AUTH_STRING right, and may they change deployments?"
_LOOK = "The log of the Prefect server says why."
_AFTERWARDS = "What is printed above is done, and the next step may be done in part: run it again to finish."


def format_failure(error: httpx.HTTPError | ObjectNotFound) -> str:
    """Say which request failed, what to do, and what has been done by then."""
    cause = error.http_exc if isinstance(error, ObjectNotFound) else error
    if not isinstance(cause, httpx.HTTPStatusError):
        return f"The Prefect server did not respond: {describe_prefect_error(cause)}. {_AFTERWARDS}"
    request, status = cause.request, cause.response.status_code
    advice = _REJECTED if status in {401, 403} else _LOOK
    what = f"{request.method} {request.url.path}"
    return f"The Prefect server returned {status} for {what}. {advice} {_AFTERWARDS}"
