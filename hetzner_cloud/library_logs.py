"""What the HTTP libraries log of a response, e.g. its headers at DEBUG, with the token masked in it."""

import logging
from weakref import WeakSet

from hetzner_cloud.redaction import Redactor

_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


class _TokenFilter(logging.Filter):
    """Masks the tokens of all connections that are open; a logger's filter is not its children's."""

    def __init__(self) -> None:
        super().__init__()
        self.redactors: WeakSet[Redactor] = WeakSet()

    def filter(self, record: logging.LogRecord) -> bool:
        received = masked = record.getMessage()
        for redactor in list(self.redactors):
            masked = redactor.redact(masked)
        if masked != received:
            record.msg, record.args = masked, ()
        return True


_FILTER = _TokenFilter()


def mask_in_library_logs(redactor: Redactor) -> None:
    """Mask a token for as long as its redactor is used."""
    _FILTER.redactors.add(redactor)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
