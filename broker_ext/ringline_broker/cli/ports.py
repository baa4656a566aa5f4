"""Ports as options."""

import errno
from typing import Final

from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.options import flag

MQTT_PORT: Final = 1883
MQTTS_PORT: Final = 8883
HTTP_HOST: Final = "127.0.0.1"
"""Where --http-port is, unless told otherwise."""
_LAST_PORT: Final = 65_535


def check_port(name: str, port: int | None, least: int = 0) -> None:
    """Look at an option that is a port, where it is given; 0 is any free one, where that can be had.

    Raises:
        ValueError: it is none; the message names the flag.
    """
    if port is not None and not least <= port <= _LAST_PORT:
        raise ValueError(f"{flag(name)} must be {least} to {_LAST_PORT}, not {port}")


def not_opened(port: int, host: str, failed: OSError, name: str) -> Failure:
    """What is said where a port cannot be opened that the option `name` asks for."""
    why = "is in use by another program" if failed.errno == errno.EADDRINUSE else f"cannot be opened: {failed.strerror}"
    return Failure(ExitCode.FAILED, f"port {port} on {host} {why}; choose another with {flag(name)}")
