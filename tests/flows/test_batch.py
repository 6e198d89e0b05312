"""How many projects have a flow run together, if the user leaves it open."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows._batch import automatic_size


@pytest.mark.parametrize(
    ("projects", "max_concurrent", "runs"),
    [
        (1, 4, 1),
        (25, 4, 1),
        (40, 4, 2),
        (100, 4, 4),
        (240, 4, 4),
        (800, 4, 4),
        (1_000, 4, 8),
        (5_000, 20, 40),
    ],
)
def test_as_many_runs_as_are_in_progress_at_once_or_a_multiple_of_that(
    projects: int, max_concurrent: int, runs: int
) -> None:
    assert ceil(projects / automatic_size(projects, max_concurrent)) == runs


@given(st.integers(1, 10_000), st.integers(1, 100))
def test_a_run_has_25_to_200_projects_whatever_there_is(projects: int, max_concurrent: int) -> None:
    assert 25 <= automatic_size(projects, max_concurrent) <= 200
