"""Checks of what a caller passes, made before any request is sent."""

import ipaddress
import sys
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, urlsplit

import httpx

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.label_selector import BLANKS, LabelSelector
from hetzner_cloud.models import MAX_ID
from hetzner_cloud.sanitize import printable_repr

IMAGE_TYPES = ("system", "app", "snapshot", "backup")
IMAGE_STATUSES = ("available", "creating", "unavailable")
ACTION_STATUSES = ("running", "success", "error")
_MAX_SECONDS = sys.float_info.max
ACTION_SORT_KEYS = ("id", "command", "status", "started", "finished")


def validate_id(value: object, what: str) -> int:
    """Return an id if it is an integer from 1 to 2^53-1.

    Raises:
        InvalidArgumentError: It is anything else; `what` names it in the message.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_ID:
        raise InvalidArgumentError(
            f"{what} must be an integer from 1 to {MAX_ID}, not {printable_repr(value)}."
        )
    return value


def validate_limit(value: object) -> int | None:
    """Return a limit, None for all.

    Raises:
        InvalidArgumentError: It is no integer above 0.
    """
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidArgumentError(
            f"The limit must be an integer above 0, or None for all, not {printable_repr(value)}."
        )
    return value


def validate_flag(value: object, what: str) -> None:
    """Reject anything but True and False.

    Raises:
        InvalidArgumentError: It is anything else; `what` names it in the message.
    """
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{what} must be True or False, not {printable_repr(value)}.")


def validate_choices(values: str | Iterable[str] | None, allowed: Sequence[str], what: str) -> list[str]:
    """Return the values as a list (a single one may come bare, None is none) if each is allowed.

    Raises:
        InvalidArgumentError: At least one is not; the message lists those that are.
    """
    if not isinstance(values, str | Iterable | None):
        raise InvalidArgumentError(f"The {what} must be a string or several, not {printable_repr(values)}.")
    chosen = [values] if isinstance(values, str) else list(values or ())
    for value in chosen:
        if value not in allowed:
            raise InvalidArgumentError(
                f"Unknown {what}: {printable_repr(value)}. Valid values: {', '.join(allowed)}."
            )
    return chosen


def validate_sort(values: str | Iterable[str] | None, keys: Sequence[str] = ACTION_SORT_KEYS) -> list[str]:
    """Return sort keys, each bare or with `:asc` or `:desc`, as a list.

    Raises:
        InvalidArgumentError: At least one is unknown.
    """
    allowed = [key + direction for key in keys for direction in ("", ":asc", ":desc")]
    return validate_choices(values, allowed, "sort")


def validate_label_selector(text: object) -> str:
    """Return a label selector without surrounding whitespace; the empty one selects everything.

    Raises:
        InvalidArgumentError: It is malformed.
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(f"The label selector must be a string, not {printable_repr(text)}.")
    LabelSelector.parse(text)
    return text.strip(BLANKS)


def validate_timeout(seconds: object) -> float:
    """Return a timeout in seconds if it is more than zero, and no more than a float can hold.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _MAX_SECONDS:
        raise InvalidArgumentError(f"The timeout must be more than 0 seconds, not {printable_repr(seconds)}.")
    return seconds


def validate_token(token: str) -> str:
    """Return an API token if it can be sent in a header.

    Raises:
        InvalidArgumentError: It is empty, or has whitespace or characters outside ASCII; the message
            does not contain it.
    """
    if not token:
        raise InvalidArgumentError("The token is empty: paste the API token of one Hetzner Cloud project.")
    if not all("!" <= character <= "~" for character in token):
        raise InvalidArgumentError(
            "The token contains whitespace or invalid characters. Copy only the token."
        )
    return token


def validate_endpoint(endpoint: str) -> str:
    """Return the API's base URL without a slash at its end.

    Raises:
        InvalidArgumentError: It is no https:// URL (http:// only to this machine itself), or it carries a
            user, a query or a fragment.
    """
    parts, host = _split_url(endpoint)
    if parts is None or not host or parts.scheme not in {"https", "http"}:
        raise InvalidArgumentError("The endpoint must be a URL such as https://api.hetzner.cloud/v1.")
    if any(mark in endpoint for mark in "@?#"):
        raise InvalidArgumentError("The endpoint must have no user, password, query or fragment.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidArgumentError(
            f"The endpoint {parts.scheme}://{host} would send the token unencrypted: use https://. "
            "Plain http:// is for this machine itself only (127.0.0.1, ::1, localhost)."
        )
    return endpoint.rstrip("/")


def validate_reserve(share: float) -> float:
    """Return the share of the request budget left to others if it is from 0 to below 1.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    if not 0 <= share < 1:
        raise InvalidArgumentError(
            f"The rate limit reserve must be from 0 to below 1, not {printable_repr(share)}."
        )
    return share


def _split_url(url: str) -> tuple[SplitResult | None, str]:
    if any(character.isspace() for character in url):
        return None, ""
    try:
        parts = urlsplit(url)
        _ = parts.port, httpx.URL(url).host  # what is none is found only when it is read
    except (ValueError, httpx.InvalidURL):
        return None, ""
    return parts, parts.hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
