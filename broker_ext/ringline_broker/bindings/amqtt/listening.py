"""Opens listeners: TCP and WebSocket, each with or without TLS, so that no stranger holds one up."""

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import websockets
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection

from ringline.protocol.errors import RinglineError
from ringline_broker.bindings.amqtt.device import Bounds
from ringline_broker.bindings.amqtt.link import READ_AT_ONCE, StreamLink

_BACKLOG: Final = 1_024

# websockets writes a traceback for every stranger that speaks no HTTP; our own log says what matters.
_quiet = logging.getLogger(f"{__name__}.websockets")
_quiet.setLevel(logging.CRITICAL)

OnStream = Callable[[StreamLink], None]
OnWebSocket = Callable[[ServerConnection], Awaitable[None]]


class CannotListen(RinglineError):
    """A listener cannot be opened: the port is in use, or a certificate cannot be read."""


def tls_context(certfile: Path, keyfile: Path) -> ssl.SSLContext:
    """TLS as a server: no client is asked for a certificate, and no terminal for a key's password.

    Raises:
        CannotListen: the files are no certificate and its key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for path in (certfile, keyfile):
        try:
            path.read_bytes()
        except OSError as failed:
            raise CannotListen(f"cannot read {path}: {_reason(failed)}") from failed
    try:
        context.load_cert_chain(certfile, keyfile, password="")
    except OSError as failed:
        raise CannotListen(f"{certfile} and {keyfile} are no certificate and its unencrypted key: {failed}") from failed
    return context


async def listen(
    on_connection: OnStream, address: str | None, port: int, tls: ssl.SSLContext | None, bounds: Bounds
) -> asyncio.Server:
    """Open a TCP listener.

    Raises:
        CannotListen: the address cannot be had.
    """
    buffer = memoryview(bytearray(READ_AT_ONCE))
    loop = asyncio.get_running_loop()
    try:
        make = partial(StreamLink, on_connection, buffer)
        return await loop.create_server(make, address, port, **_common(tls, bounds))
    except OSError as failed:
        raise CannotListen(f"cannot listen on {address}:{port}: {_reason(failed)}") from failed


async def listen_websocket(
    on_connection: OnWebSocket, address: str | None, port: int, tls: ssl.SSLContext | None, bounds: Bounds
) -> WebSocketServer:
    """Open a WebSocket listener.

    Raises:
        CannotListen: the address cannot be had.
    """
    try:
        return await websockets.serve(
            on_connection,
            address,
            port,
            subprotocols=[websockets.Subprotocol("mqtt")],
            max_size=2 * bounds.packet_bytes,
            max_queue=4,
            compression=None,  # a bomb needs one, short messages gain nothing from it
            open_timeout=bounds.connect_s,
            close_timeout=bounds.close_s,
            server_header=None,
            logger=_quiet,
            **_common(tls, bounds),
        )
    except OSError as failed:
        raise CannotListen(f"cannot listen on {address}:{port}: {_reason(failed)}") from failed


def _common(tls: ssl.SSLContext | None, bounds: Bounds) -> dict[str, Any]:
    common: dict[str, Any] = {"ssl": tls, "backlog": _BACKLOG, "reuse_address": True}
    if tls is not None:
        common |= {"ssl_handshake_timeout": bounds.connect_s, "ssl_shutdown_timeout": bounds.close_s}
    return common


def _reason(failed: OSError) -> str:
    code = failed.errno
    return os.strerror(code) if code is not None and code > 0 else str(failed.strerror or failed)
