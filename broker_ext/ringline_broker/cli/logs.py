"""Logs on stderr: a line each, for people or as JSON."""

import json
import logging
import re
import time
from typing import Literal

from ringline_broker.cli.printing import printable

Level = Literal["debug", "info", "warning", "error"]

_OURS = ("ringline", "ringline_broker")
_FIELDS = ("user", "invite_id", "operation", "code")
"""What a line may be about: `extra` of the record, fields of their own in JSON, at the end of a line of text."""
_PLAIN = re.compile(r"[\w.@:+-]+")


def _about(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}


def _word(value: object) -> str:
    """A value that nobody mistakes for two, or for the end of them all."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class _Line(logging.Formatter):
    """One line a record; what strangers put into a message or a name cannot break it or reach the terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Escape the message, and add what it is about."""
        about = " ".join(f"{name}={_word(value)}" for name, value in _about(record).items())
        record.message = printable(f"{record.message} [{about}]" if about else record.message)
        return super().formatMessage(record)


class _Json(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start_logging(level: Level, *, as_json: bool) -> None:
    """Log our own loggers from a level on, and everybody else's from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if as_json else _Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
