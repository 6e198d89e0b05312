"""What the client says is part of the run's log, and expected errors come without a traceback."""

import asyncio
import logging

from prefect import get_run_logger
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import MissingContextError
from prefect.logging.handlers import APILogHandler
from prefect.logging.loggers import LoggingAdapter

from hetzner_cloud.errors import HetznerCloudError
from hetzner_cloud.sanitize import IN_A_LINE, join_in_chunks

_HELD_BACK_SECONDS = 1.0


def join_run_logging() -> None:
    """Send `hetzner_cloud`'s log lines where Prefect's go; calling it again changes nothing."""
    logger = logging.getLogger("hetzner_cloud")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not any(isinstance(handler, APILogHandler) for handler in logger.handlers):
        handler = APILogHandler()
        handler.addFilter(_inside_a_run)
        logger.addHandler(handler)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_expected_traceback)


def run_logger() -> logging.Logger | LoggingAdapter:
    """Get the run's logger, outside of a run the client's."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("hetzner_cloud")


class BatchedLogger:
    """Joins what many say into fewer lines, 25 in one at most; nothing is held back longer than a second."""

    def __init__(self, lead: str) -> None:
        self._lead = lead
        self._logger = run_logger()
        self._texts: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, text: str) -> None:
        """Say something, soon."""
        self._texts.append(text)
        if len(self._texts) == IN_A_LINE:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_HELD_BACK_SECONDS, self.flush)

    def flush(self) -> None:
        """Say now what was held back."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        for line in join_in_chunks(self._texts):
            self._logger.info("%s: %s", self._lead, line)
        self._texts.clear()


def in_run_context() -> bool:
    """Tell whether a flow run or task run is under way here."""
    return bool(TaskRunContext.get() or FlowRunContext.get())


def _inside_a_run(_record: logging.LogRecord) -> bool:
    return in_run_context()


def _without_expected_traceback(record: logging.LogRecord) -> bool:
    """Our errors say what happened and what to do; the stack of a refused token helps nobody."""
    if record.exc_info and isinstance(record.exc_info[1], HetznerCloudError):
        record.exc_info = None
    return True
