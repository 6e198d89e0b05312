"""The checks of a run's parameters, made before any request."""

import pytest

from hetzner_cloud.errors import InvalidArgumentError
from snapshot_protection import parameters


@pytest.mark.parametrize("hours", [0, 0.5, 24, 24 * 365])
def test_a_grace_period_is_accepted_when_it_is(hours: float) -> None:
    assert parameters.validate_grace(hours) == hours


@pytest.mark.parametrize("hours", [-0.1, float("nan"), float("inf"), 10**400, "24", None, True])
def test_a_grace_period_is_rejected_when_it_is(hours: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^The time of grace must be 0 hours or more, not "):
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
