"""One error of many task runs in the log: in full once, then as a reference to that."""

import logging
import re
from collections.abc import Iterator

from hetzner_cloud.errors import HetznerCloudError

_FAILED = "Task run failed with exception"
_FINISHED = re.compile(r"Finished in state Failed\(.*? an exception (\w+): ", re.DOTALL)
_IDS = re.compile(r"\b[0-9a-f]{8,}\b|\d+")
_MAX_REMEMBERED = 1_000
_REPEATED = "Finished in state Failed, for the same reason as an earlier task run"


class RepeatedErrors(logging.Filter):
    """Shortens what Prefect logs of task runs that failed with our errors; their states keep all of it.

    Two errors that differ in ids only are the same: those of a snapshot, an action and a request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the first of two lines that say why a task run failed; shorten the second if it is known."""
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage()
        if isinstance(error, HetznerCloudError) and text.startswith(_FAILED) and "will start" not in text:
            return False
        if (finished := _FINISHED.match(text)) and finished[1] in set(_names(HetznerCloudError)):
            self._shorten_if_known(record, text)
        return True

    def _shorten_if_known(self, record: logging.LogRecord, text: str) -> None:
        key = (str(getattr(record, "flow_run_id", "")), _IDS.sub("…", text))
        if key in self._seen:
            record.msg, record.args = _REPEATED, ()
        elif len(self._seen) < _MAX_REMEMBERED:
            self._seen.add(key)


def _names(kind: type[HetznerCloudError]) -> Iterator[str]:
    yield kind.__name__
    for special in kind.__subclasses__():
        yield from _names(special)
