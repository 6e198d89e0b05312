"""The run's log: it includes our packages' log lines, and expected errors without a traceback."""

import asyncio
import logging
from typing import ClassVar

from prefect import get_run_logger
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.logging.handlers import APILogHandler
from prefect.logging.loggers import LoggingAdapter

from hetzner_cloud.errors import HetznerCloudError
from reporting.repeated_errors import RepeatedErrors
from snapshot_protection.rendered_report import RenderedReport
from snapshot_protection.wording import IN_A_LINE, join_in_chunks

LOGGER = logging.getLogger(__name__)

_MAX_DELAY_SECONDS = 1.0
_MAX_LINES_A_SECOND = 50  # of all that join messages: each line takes milliseconds, here and on the server
_PACKAGES = ("blocks", "hetzner_cloud", "reporting")  # whose modules log under their own names
_REPEATED_ERRORS = RepeatedErrors()


def join_run_logging() -> None:
    """Send the log lines of our packages where Prefect's go; calling it again changes nothing."""
    for package in _PACKAGES:
        _join(logging.getLogger(package))
    logging.getLogger("prefect.task_runs").addFilter(_REPEATED_ERRORS)  # first: the next drops the error
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_expected_traceback)


def run_logger() -> logging.Logger | LoggingAdapter:
    """Return the run's logger, outside of a run this module's."""
    try:
        return get_run_logger()
    except MissingContextError:
        return LOGGER


def log_report(report: RenderedReport) -> None:
    """Log the lines of a report."""
    for line in report.log_lines:
        run_logger().log(line.level, "%s", line.text)


class BatchedLogger:
    """Joins messages into fewer lines, at most 25 in one.

    None is delayed for more than a second, or a few if more than fifty join theirs at the same time.
    """

    _delaying: ClassVar[int] = 0

    def __init__(self, lead: str) -> None:
        self._lead = lead
        self._logger = run_logger()
        self._messages: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, message: str) -> None:
        """Log a message, soon."""
        self._messages.append(message)
        if len(self._messages) == IN_A_LINE:
            self.flush()
        elif self._timer is None:
            BatchedLogger._delaying += 1
            delay = _MAX_DELAY_SECONDS * max(1.0, BatchedLogger._delaying / _MAX_LINES_A_SECOND)
            self._timer = asyncio.get_running_loop().call_later(delay, self.flush)

    def flush(self) -> None:
        """Log the delayed messages now."""
        if self._timer:
            BatchedLogger._delaying -= 1
            self._timer.cancel()
        self._timer = None
        for line in join_in_chunks(self._messages):
            self._logger.info("%s: %s", self._lead, line)
        self._messages.clear()


def in_run_context() -> bool:
    """Return whether this is in a flow run or task run."""
    return bool(TaskRunContext.get() or FlowRunContext.get())


def _join(logger: logging.Logger) -> None:
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not any(isinstance(handler, APILogHandler) for handler in logger.handlers):
        handler = APILogHandler()
        handler.addFilter(_is_in_run)
        logger.addHandler(handler)


def _is_in_run(_record: logging.LogRecord) -> bool:
    return in_run_context()


def _without_expected_traceback(record: logging.LogRecord) -> bool:
    """Drop the traceback of our errors: their message has the cause and the next step."""
    if record.exc_info and isinstance(record.exc_info[1], HetznerCloudError):
        record.exc_info = None
    return True
