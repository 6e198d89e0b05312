"""Whether a 404 comes from Prefect, so that the object does not exist, or from a proxy."""

import httpx
from prefect.exceptions import ObjectNotFound

_NO_SUCH_PATH = "Not Found"  # of another service at this address


def is_missing(error: ObjectNotFound) -> bool:
    """Return whether it was Prefect that responded with 404: it names what was not found.

    The 404 of a proxy while the server is away must not be taken for "there is none".
    """
    response = getattr(error.http_exc, "response", None)
    if not isinstance(response, httpx.Response):
        return False
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("detail", _NO_SUCH_PATH) != _NO_SUCH_PATH
