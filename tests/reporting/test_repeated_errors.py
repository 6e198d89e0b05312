"""One error of many task runs in the log: in full once."""

import logging
from collections.abc import Iterator

import pytest

from hetzner_cloud.errors import HetznerCloudError, LockedError
from reporting.repeated_errors import RepeatedErrors

RUN = "974ec25e-f454-4243-8f54-786662fec316"


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.repeated-errors")
    errors = RepeatedErrors()
    logger.addFilter(errors)
    yield logger
    logger.removeFilter(errors)


def finished(image_id: int, name: str = "LockedError", why: str = "image is locked") -> str:
    error = f"{name}: POST /images/{image_id}/actions: {why} (locked, {image_id:016x})"
    return f"Finished in state Failed('Task run encountered an exception {error}')"


def test_the_same_error_is_in_full_once_in_each_flow_run(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    for run in (RUN, "another"):
        for image_id in (100_000_001, 7, 100_000_003):
            logger.error(finished(image_id), extra={"flow_run_id": run})
    short = "Finished in state Failed, for the same reason as an earlier task run"
    assert [record.getMessage() for record in caplog.records] == [finished(100_000_001), short, short] * 2


@pytest.mark.parametrize(
    "other",
    [
        finished(7, why="image is busy"),
        finished(7, name="SomebodyElsesError"),
        "Finished in state Completed()",
        "Finished in state Cancelled()",
        "100 % done",
    ],
)
def test_anything_else_is_left_alone(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture, other: str
) -> None:
    logger.error(finished(8), extra={"flow_run_id": RUN})
    for _ in range(1 if "busy" in other else 2):
        logger.error(other, extra={"flow_run_id": RUN})
    assert {record.getMessage() for record in caplog.records} == {finished(8), other}


def raise_and_log(logger: logging.Logger, text: str, error: Exception) -> None:
    try:
        raise error
    except (HetznerCloudError, ValueError) as caught:
        logger.log(logging.ERROR, text, exc_info=caught)


def test_of_the_two_lines_that_say_why_a_task_run_failed_the_second_is_left(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    failed = "Task run failed with exception: LockedError('no')"
    retried = f"{failed} - Retry 1/2 will start 3 second(s) from now"
    raise_and_log(logger, failed, LockedError("no"))
    raise_and_log(logger, retried, LockedError("no"))
    raise_and_log(logger, failed, ValueError("not ours"))
    assert [record.getMessage() for record in caplog.records] == [retried, failed]
