"""The HTTP port of a process that serves: `--http-port`."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.loopback import is_loopback
from ringline_broker.cli.ports import HTTP_HOST, not_opened
from ringline_broker.cli.reaching import url_of

if TYPE_CHECKING:
    from ringline_broker.monitoring.pages import Source

log = logging.getLogger(__name__)


@asynccontextmanager
async def monitored(source: "Source", port: int | None, host: str) -> AsyncGenerator[str | None]:
    """While inside, show metrics and health of a server or worker, where a port is given; gives the URL.

    Raises:
        Failure: the port cannot be opened, or none is given and yet a host.
    """
    if port is None:
        if host != HTTP_HOST:
            raise Failure(ExitCode.WRONG_USE, "--http-host is where --http-port is opened: give that too")
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
        raise not_opened(port, host, failed, "http_port") from failed
    try:
        yield url_of("http", host, port)
    finally:
        await monitor.stop()


def shown_at(url: str) -> str:
    """What is said of it at the start."""
    return f"metrics and health are at {url}/metrics, /healthz and /readyz"
