"""What waits for somebody else to come back, said once and not at each attempt: an outage can last."""

import logging


class Outage:
    """Says that something waits, with the first reason, and later that it does no more.

    Args:
        log: where to.
        what: what is said, such as `deadlines wait`.
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._lasts = False

    def waits(self, why: Exception) -> None:
        """It could not be done."""
        if not self._lasts:
            self._lasts = True
            self._log.error("%s: %s", self._what, why)

    def over(self) -> None:
        """It was done."""
        if self._lasts:
            self._lasts = False
            self._log.warning("%s no more", self._what)
