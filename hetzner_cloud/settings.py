"""Times and bounds that a test or an unusual network sets otherwise, by environment variables."""

import os
from dataclasses import dataclass, fields
from typing import Any, Self

from hetzner_cloud.errors import InvalidArgumentError

_PREFIX = "HETZNER_CLOUD_"
_MAX_RETRIES = 50  # as many pauses as Prefect takes


@dataclass(frozen=True)
class Settings:
    """Each field is read from `HETZNER_CLOUD_<FIELD>`.

    Attributes:
        request_timeout_seconds: For one request, from the connection to the last byte.
        max_concurrent_requests: How many requests of a project are under way at once, at most.
        max_retries: How often a fault that can heal is met with another try.
        retry_base_delay_seconds: The upper bound of the pause before the first retry; it doubles with each.
        retry_max_delay_seconds: What the bound of a pause never exceeds.
        rate_limit_timeout_seconds: How long one request is held back by answers of 429 before it fails.
        poll_interval_seconds: The least pause between two rounds of asking for running actions.
        poll_max_interval_seconds: The longest.
    """

    request_timeout_seconds: float = 30.0
    max_concurrent_requests: int = 10
    max_retries: int = 5
    retry_base_delay_seconds: float = 1.0
    retry_max_delay_seconds: float = 60.0
    rate_limit_timeout_seconds: float = 900.0
    poll_interval_seconds: float = 0.5
    poll_max_interval_seconds: float = 5.0

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings.

        Raises:
            InvalidArgumentError: A variable is set and is no number above zero (`max_retries`: from 0 to 50).
        """
        values: dict[str, Any] = {field.name: _read(field.name, field.default) for field in fields(cls)}
        return cls(**values)


def _read(name: str, default: object) -> float:
    kind = int if isinstance(default, int) else float
    variable = _PREFIX + name.upper()
    text = os.environ.get(variable, str(default))
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    if name == "max_retries" and not 0 <= value <= _MAX_RETRIES:
        raise InvalidArgumentError(f"{variable} must be a number from 0 to {_MAX_RETRIES}, not {text!r}.")
    if name != "max_retries" and not 0 < value < float("inf"):
        raise InvalidArgumentError(f"{variable} must be a number above zero, not {text!r}.")
    return value
