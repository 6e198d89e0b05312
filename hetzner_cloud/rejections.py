"""Responses that are not what was requested: which error each is, and its advice. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from hetzner_cloud.config import ClientConfig
from hetzner_cloud.errors import ApiError, InvalidResponseError, RateLimitError
from hetzner_cloud.rate_limit_headers import RateLimitHeaders
from hetzner_cloud.responses import ApiResponse, parse_error
from hetzner_cloud.retry import is_transient
from hetzner_cloud.settings import Settings

_WITHOUT_CODE = frozenset({401, 409, 423, 429})  # the API has been seen to send these without an error code
_MAX_SHOWN_TIME = 253_402_300_799  # the end of the year 9999


def rejection(
    response: ApiResponse, headers: Mapping[str, str], config: ClientConfig, settings: Settings
) -> ApiError:
    """Return the error of an unsuccessful response."""
    error = parse_error(response, config.credentials_label)
    retry_after_seconds = RateLimitHeaders.parse(headers).retry_after_seconds
    error = _copy(error, error.message, retry_after_seconds)
    if isinstance(error, RateLimitError):
        return error
    message = error.message
    if is_foreign(error):
        message += advice_on_endpoint(config)
    bound = settings.retry_max_delay_seconds
    if retry_after_seconds is not None and retry_after_seconds > bound and is_transient(error):
        message += f". Its Retry-After is {retry_after_seconds:.0f} s; the maximum delay is {bound:g} s"
    return _copy(error, message, retry_after_seconds)


def given_up(error: ApiError, headers: Mapping[str, str], settings: Settings) -> RateLimitError:
    """Return the error of a request that was held back by 429 responses for too long."""
    known = RateLimitHeaders.parse(headers)
    message = (
        f"{error.message}. For {settings.rate_limit_timeout_seconds:g} s no other response was received "
        f"({_describe_budget(known)}). Find out what else uses up the project's request budget, or set "
        "HETZNER_CLOUD_RATE_LIMIT_TIMEOUT_SECONDS to wait longer"
    )
    return RateLimitError(
        message,
        error.code,
        error.status_code,
        error.correlation_id,
        error.details,
        known.retry_after_seconds,
    )


def raise_if_html(response: ApiResponse, headers: Mapping[str, str], config: ClientConfig) -> None:
    """Reject a page in place of the API's JSON.

    Raises:
        InvalidResponseError: The response is one.
    """
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        status = response.status_code
        message = f"{response.request} returned {status} and an HTML page{advice_on_endpoint(config)}"
        raise InvalidResponseError(message, "invalid_response", status, response.correlation_id)


def is_foreign(error: ApiError) -> bool:
    """Return whether the API itself would hardly send this: a redirect, or an error without its code."""
    status = error.status_code or 0
    has_code = error.code != f"http_{status}"
    return status < 400 or (status < 500 and not has_code and status not in _WITHOUT_CODE)


def advice_on_endpoint(config: ClientConfig) -> str:
    """Say that what responded is probably not the API."""
    return (
        ". This does not look like the Hetzner Cloud API: check the endpoint of "
        f"{config.credentials_label}, {config.endpoint}, and any proxy"
    )


def _describe_budget(known: RateLimitHeaders) -> str:
    if known.limit is None or known.remaining is None:
        return "without valid RateLimit headers"
    text = f"RateLimit-Limit {known.limit:.0f}, RateLimit-Remaining {known.remaining:.0f}"
    if known.reset is None or known.reset > _MAX_SHOWN_TIME:
        return text
    return f"{text}, RateLimit-Reset {datetime.fromtimestamp(known.reset, UTC):%Y-%m-%d %H:%M} UTC"


def _copy(error: ApiError, message: str, retry_after_seconds: float | None) -> ApiError:
    known = (error.code, error.status_code, error.correlation_id, error.details)
    return type(error)(message, *known, retry_after_seconds)
