"""The HTTP port of a process that serves: `--http-port`."""

import errno
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.loopback import is_loopback

if TYPE_CHECKING:
    from ringline_broker.monitoring.pages import Source

log = logging.getLogger(__name__)

_LAST_PORT = 65_535


def check_port(port: int | None) -> None:
    """Look at the option.

    Raises:
        ValueError: it is no port.
    """
    if port is not None and not 0 <= port <= _LAST_PORT:
        raise ValueError(f"--http-port must be 0 to {_LAST_PORT}, not {port}")


@asynccontextmanager
async def monitored(source: "Source", port: int | None, host: str) -> AsyncGenerator[str | None]:
    """While inside, show metrics and health of a server or worker, where a port is given; gives the URL.

    Raises:
        Failure: the port cannot be opened.
    """
    if port is None:
        yield None
        return
    from ringline_broker.monitoring.monitor import Monitor  # noqa: PLC0415 - slow, and needed here alone

    if not is_loopback(host):
        log.warning(
            "--http-host %s can be reached from other machines, without a login and not encrypted: whoever does sees "
            "how much is going on, though no names and nothing of what is said", host,
        )  # fmt: skip
    monitor = Monitor(source, host, port)
    try:
        port = await monitor.start()
    except OSError as failed:
        busy = failed.errno == errno.EADDRINUSE
        why = "is in use by another program" if busy else f"cannot be opened: {failed.strerror}"
        raise Failure(ExitCode.FAILED, f"port {port} on {host} {why}; choose another with --http-port") from failed
    try:
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await monitor.stop()


def shown_at(url: str) -> str:
    """What is said of it at the start."""
    return f"metrics and health are at {url}/metrics, /healthz and /readyz"
