"""Lines of a run's log that are joined: few, and soon."""

import asyncio
import logging
import re
from collections.abc import Callable

import pytest
from prefect.logging.handlers import APILogHandler

import reporting.run_logging
from reporting.run_logging import BatchedLogger, join_run_logging
from tests.support.import_graph import modules

LOGGING = {
    module: names
    for module, path in modules().items()
    if (names := re.findall(r"^LOGGER = logging\.getLogger\((.+)\)$", path.read_text(), re.MULTILINE))
}


def lines(caplog: pytest.LogCaptureFixture) -> list[int]:
    """How many texts each line has."""
    return [record.getMessage().count("text") for record in caplog.records]


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="reporting")


async def test_25_are_said_at_once_and_the_rest_when_told_to(caplog: pytest.LogCaptureFixture) -> None:
    log = BatchedLogger("Done")
    for _ in range(53):
        log.add("text")
    assert lines(caplog) == [25, 25]
    log.flush()
    log.flush()
    assert lines(caplog) == [25, 25, 3]
    assert caplog.records[-1].getMessage() == "Done: text; text; text"


async def test_nothing_is_held_back_for_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting.run_logging, "_MAX_DELAY_SECONDS", 0)
    log = BatchedLogger("Done")
    for _ in range(2):
        log.add("text")
        for _ in range(3):
            await asyncio.sleep(0)
    assert lines(caplog) == [1, 1]


async def test_many_that_join_their_lines_write_no_more_than_fifty_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays: list[float] = []
    loop = asyncio.get_running_loop()
    call_at_once = loop.call_soon

    def call_later(delay: float, callback: Callable[[], None]) -> asyncio.Handle:
        delays.append(delay)
        return call_at_once(callback)

    monkeypatch.setattr(loop, "call_later", call_later)
    logs = [BatchedLogger("Done") for _ in range(200)]
    for log in logs:
        log.add("text")
    assert delays[:50] == [1.0] * 50
    assert delays[-1] == 4.0
    for log in logs:
        log.flush()
    logs[0].add("text")
    assert delays[-1] == 1.0
    logs[0].flush()


@pytest.mark.parametrize("module", LOGGING)
def test_a_module_logs_under_its_own_name(module: str) -> None:
    assert LOGGING[module] == ["__name__"]


@pytest.mark.parametrize("package", sorted({module.partition(".")[0] for module in LOGGING}))
def test_the_log_of_a_run_has_the_lines_of_each_package_that_logs_once(package: str) -> None:
    for _ in range(2):
        join_run_logging()
    logger = logging.getLogger(package)
    assert logger.isEnabledFor(logging.INFO)
    assert [type(handler) for handler in logger.handlers].count(APILogHandler) == 1
