"""A log that strangers cause lines of: so that nobody fills the disk with them, nor hides among them."""

import logging
import time
from collections.abc import Mapping
from typing import Final

from ringline_broker.service.buckets import Bucket

_LINES_A_SECOND: Final = 5
_LINES_AT_ONCE: Final = 200


class SparingLog:
    """Writes so many lines a second, and says how many it left out. Errors of our own do not go through it.

    Args:
        log: where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._bucket = Bucket(_LINES_A_SECOND, _LINES_AT_ONCE, time.monotonic())
        self._left_out = 0

    def info(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Say what is usual; `extra` as in logging."""
        self._write(logging.INFO, message, args, extra)

    def warning(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Say what somebody should look at; `extra` as in logging."""
        self._write(logging.WARNING, message, args, extra)

    def _write(self, level: int, message: str, args: tuple[object, ...], extra: Mapping[str, object] | None) -> None:
        if not self._log.isEnabledFor(level):
            return
        if not self._bucket.take(time.monotonic()):
            self._left_out += 1
            return
        if self._left_out:
            self._log.warning("%d lines like the next were left out", self._left_out)
            self._left_out = 0
        self._log.log(level, message, *args, extra=extra)
