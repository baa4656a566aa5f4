"""Which broker a worker is beside, and as whom: what `worker` and `doctor` read of it."""

import os
import ssl

from ringline.connection import Address
from ringline_broker.cli.exits import ExitCode, Failure
from ringline_broker.cli.session import TlsOptions, tls_of


def broker_of(url: str) -> Address:
    """Read --broker.

    Raises:
        Failure: it is no broker's URL, or of something that a worker does not speak.
    """
    try:
        address = Address.parse(url)
    except ValueError as wrong:
        raise Failure(ExitCode.WRONG_USE, f"--broker: {wrong}") from wrong
    if address.transport != "tcp":
        raise Failure(ExitCode.WRONG_USE, "--broker: a worker needs MQTT itself: mqtt:// or mqtts://")
    return address


def tls_beside(options: TlsOptions, broker: Address) -> ssl.SSLContext | None:
    """As `session.tls_of`, for --broker."""
    return tls_of(options, broker, "--broker mqtts://HOST:PORT")


def password_at(broker: Address) -> str | None:
    """The worker's password: from the URL or the environment; None for none."""
    return broker.password or os.environ.get("RINGLINE_PASSWORD")


def share_of(given: str) -> str:
    """The share's name: from --share or the environment; "" for none."""
    return given or os.environ.get("RINGLINE_SHARE", "")
