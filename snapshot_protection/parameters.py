"""Checks of a run's parameters, made before any request is sent."""

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.sanitize import printable_repr

_MAX_GRACE_HOURS = 24 * 366 * 100


def validate_grace(hours: object) -> float:
    """Return a grace period in hours if it is from 0 to 100 years.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    if not isinstance(hours, int | float) or isinstance(hours, bool) or not 0 <= hours <= _MAX_GRACE_HOURS:
        raise InvalidArgumentError(f"The time of grace must be 0 hours or more, not {printable_repr(hours)}.")
    return hours


def validate_count(value: object, what: str) -> int:
    """Return a whole number from 1 on.

    Raises:
        InvalidArgumentError: It is anything else; `what` names what it counts.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidArgumentError(f"The number of {what} must be 1 or more, not {printable_repr(value)}.")
    return value
