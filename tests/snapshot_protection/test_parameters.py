"""The checks of a run's parameters, made before any request."""

import pytest

from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection import parameters


@pytest.mark.parametrize("hours", [0, 0.5, 24, 24 * 365])
def test_a_grace_period_is_accepted_when_it_is(hours: float) -> None:
    assert parameters.validate_grace(hours) == hours


@pytest.mark.parametrize("hours", [-0.1, float("nan"), float("inf"), 10**400, "24", None, True])
def test_a_grace_period_is_rejected_when_it_is(hours: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^The grace period must be 0 hours or more, not "):
        parameters.validate_grace(hours)


@pytest.mark.parametrize("value", [1, 2, 10**9])
def test_a_count_is_accepted_when_it_is(value: int) -> None:
    assert parameters.validate_count(value, "runs at once") == value


@pytest.mark.parametrize(
    "value", [0, -1, 1.5, "2", None, True, 10**5_000 * -1], ids=lambda value: str(type(value))
)
def test_a_count_is_rejected_by_its_name_when_it_is(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^The number of runs at once must be 1 or more, not "):
        parameters.validate_count(value, "runs at once")


def test_a_reason_is_one_line_without_control_characters() -> None:
    assert parameters.validate_reason("  moved to\n the new  cluster\x07 ") == "moved to the new cluster"


@pytest.mark.parametrize("reason", ["", "too short", " " * 20, "\x00" * 20, None, 1234567890, ["a" * 20]])
def test_a_reason_that_says_nothing_is_rejected(reason: object) -> None:
    with pytest.raises(InvalidArgumentError, match="The reason must have 10 characters or more"):
        parameters.validate_reason(reason)


@pytest.mark.parametrize("hours", [0.001, 1, 24.5, 168])
def test_the_hours_of_an_exemption_are_accepted_when_they_are(hours: float) -> None:
    assert parameters.validate_exemption_hours(hours) == hours


@pytest.mark.parametrize("hours", [0, -1, 168.1, float("nan"), float("inf"), "24", None, True])
def test_the_hours_of_an_exemption_are_rejected_when_they_are(hours: object) -> None:
    with pytest.raises(InvalidArgumentError, match="more than 0 and at most 168 hours, not "):
        parameters.validate_exemption_hours(hours)


def test_each_id_is_taken_once() -> None:
    assert parameters.validate_image_ids([3, 1, 3, 2, 1]) == [3, 1, 2]


@pytest.mark.parametrize(
    "image_ids", [[], (), None, "123", 5, {}, ["all"], [0], [-1], [True], [1.5], [2**53]]
)
def test_ids_are_rejected_when_they_are(image_ids: object) -> None:
    with pytest.raises(InvalidArgumentError):
        parameters.validate_image_ids(image_ids)


@pytest.mark.parametrize("days", [0, 0.5, 7, 36_600])
def test_a_quarantine_is_accepted_when_it_is(days: float) -> None:
    assert parameters.validate_quarantine_days(days) == days


@pytest.mark.parametrize("days", [-0.1, -7, 36_601, float("nan"), float("inf"), 10**400, "7", None, True])
def test_a_quarantine_is_rejected_when_it_is(days: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^The quarantine must be 0 days or more, not "):
        parameters.validate_quarantine_days(days)


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", None, True])
def test_a_limit_of_deletions_is_rejected_when_it_is(number: object) -> None:
    assert parameters.validate_max_deletions(1) == 1
    with pytest.raises(InvalidArgumentError, match=r"^The number of deletions must be 1 or more, not "):
        parameters.validate_max_deletions(number)
