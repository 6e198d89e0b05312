"""Checks of a run's parameters, made before any request is sent."""

from hetzner_cloud.errors import InvalidArgumentError
from hetzner_cloud.sanitize import printable, printable_repr
from hetzner_cloud.validation import validate_id
from snapshot_protection.exemptions import MAX_HOURS

_MAX_GRACE_HOURS = 24 * 366 * 100
_MAX_QUARANTINE_DAYS = 36_600
MIN_REASON_LENGTH = 10


def validate_grace(hours: object) -> float:
    """Return a grace period in hours if it is from 0 to 100 years.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    if not isinstance(hours, int | float) or isinstance(hours, bool) or not 0 <= hours <= _MAX_GRACE_HOURS:
        raise InvalidArgumentError(f"The grace period must be 0 hours or more, not {printable_repr(hours)}.")
    return hours


def validate_count(value: object, what: str, *, least: int = 1) -> int:
    """Return a whole number from 1, or `least`, on.

    Raises:
        InvalidArgumentError: It is anything else; `what` names what it counts.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidArgumentError(
            f"The number of {what} must be {least} or more, not {printable_repr(value)}."
        )
    return value


def validate_reason(reason: object) -> str:
    """Return the reason for removing protection, on one line.

    Raises:
        InvalidArgumentError: It is shorter than 10 characters.
    """
    text = printable(reason) if isinstance(reason, str) else ""
    if len(text) < MIN_REASON_LENGTH:
        raise InvalidArgumentError(
            f"The reason must have {MIN_REASON_LENGTH} characters or more; audits report it."
        )
    return text


def validate_exemption_hours(hours: object) -> float:
    """Return how long protection may be removed for, in hours, from more than 0 to 168.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    if not isinstance(hours, int | float) or isinstance(hours, bool) or not 0 < hours <= MAX_HOURS:
        raise InvalidArgumentError(
            f"Protection is removed for more than 0 and at most {MAX_HOURS} hours, "
            f"not {printable_repr(hours)}."
        )
    return hours


def validate_image_ids(image_ids: object) -> list[int]:
    """Return the ids of snapshots, each once.

    Raises:
        InvalidArgumentError: There is none, or one that no image can have.
    """
    if not isinstance(image_ids, list | tuple) or not image_ids:
        raise InvalidArgumentError("Name at least one snapshot by its id.")
    return list(dict.fromkeys(validate_id(image_id, "A snapshot's id") for image_id in image_ids))


def validate_quarantine_days(days: object) -> float:
    """Return how long a snapshot must have been a candidate for pruning, in days, from 0 to 100 years.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    if not isinstance(days, int | float) or isinstance(days, bool) or not 0 <= days <= _MAX_QUARANTINE_DAYS:
        raise InvalidArgumentError(f"The quarantine must be 0 days or more, not {printable_repr(days)}.")
    return days


def validate_max_deletions(number: object) -> int:
    """Return how many snapshots of a project a run may prune, from 1 on.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    return validate_count(number, "deletions")
