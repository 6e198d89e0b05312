"""Timeouts and limits, set by environment variables for a test or an unusual network."""

from typing import Annotated, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from hetzner_cloud.errors import InvalidArgumentError

_PREFIX = "HETZNER_CLOUD_"
_MAX_RETRIES = 50

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Each field that is not passed is read from `HETZNER_CLOUD_<FIELD>`.

    Attributes:
        request_timeout_seconds: For one request, from the connection to the last byte.
        max_concurrent_requests: How many requests of a project are in flight at once, at most.
        max_retries: How often a request is repeated after a transient error.
        retry_base_delay_seconds: The maximum delay before the first retry; it doubles with each.
        retry_max_delay_seconds: What that maximum never exceeds, nor the delay of a Retry-After.
        rate_limit_timeout_seconds: How long a request is held back by the rate limit before it is sent all
            the same and, by 429 responses, before it fails.
        poll_interval_seconds: The shortest delay between two polls of running actions.
        poll_max_interval_seconds: The longest.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    request_timeout_seconds: Seconds = 30.0
    max_concurrent_requests: int = Field(default=10, gt=0)
    max_retries: int = Field(default=5, ge=0, le=_MAX_RETRIES)
    retry_base_delay_seconds: Seconds = 1.0
    retry_max_delay_seconds: Seconds = 60.0
    rate_limit_timeout_seconds: Seconds = 900.0
    poll_interval_seconds: Seconds = 0.5
    poll_max_interval_seconds: Seconds = 5.0

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings.

        Raises:
            InvalidArgumentError: A variable is set and is no number above zero (`max_retries`: from 0 to 50).
        """
        try:
            return cls()
        except ValidationError as error:
            invalid = error.errors(include_url=False)[0]
        name, value = str(invalid["loc"][0]), invalid["input"]
        allowed = f"from 0 to {_MAX_RETRIES}" if name == "max_retries" else "above zero"
        raise InvalidArgumentError(f"{_PREFIX}{name.upper()} must be a number {allowed}, not {value!r}.")
