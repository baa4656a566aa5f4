"""Opens listeners and accepts connections: TCP and WebSocket, each with or without TLS.

Accepting is ours, and not the event loop's, so that whoever is one too many is sent away before a byte is read or a
handshake begun, and so that every connection gets the certificates that stand when it comes.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from ringline.protocol.errors import RinglineError
from ringline_broker.bindings.amqtt.link import READ_AT_ONCE, Link, StreamLink
from ringline_broker.bindings.amqtt.websocket import WebSocketLink
from ringline_broker.settings import Bounds

log = logging.getLogger(__name__)

_BACKLOG: Final = 1_024
_OUT_OF_FILES_S: Final = 0.5
"""How long to accept nobody, where the system gives no more sockets."""

OnSocket = Callable[["Listening", socket.socket, str], None]
"""Takes a connection that came through this listener, from this address."""


class CannotListen(RinglineError):
    """A listener cannot be opened: the port is in use, or a certificate cannot be read."""


def tls_context(
    certfile: Path, keyfile: Path, authority: Path | None = None, *, only_certificates: bool = False
) -> ssl.SSLContext:
    """TLS as a server; no terminal is asked for a key's password.

    Args:
        certfile: the server's certificate with those that vouch for it.
        keyfile: its key.
        authority: who vouches for devices' certificates; None asks no device for one.
        only_certificates: whether a device without one is turned away.

    Raises:
        CannotListen: the files are no certificate and its key, or no authority.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for path in filter(None, (certfile, keyfile, authority)):
        try:
            path.read_bytes()
        except OSError as failed:
            raise CannotListen(f"cannot read {path}: {_reason(failed)}") from failed
    try:
        context.load_cert_chain(certfile, keyfile, password="")
    except OSError as failed:
        raise CannotListen(f"{certfile} and {keyfile} are no certificate and its unencrypted key: {failed}") from failed
    if authority is not None:
        _ask_for_certificates(context, authority, only=only_certificates)
    return context


def _ask_for_certificates(context: ssl.SSLContext, authority: Path, *, only: bool) -> None:
    try:
        context.load_verify_locations(authority)
    except OSError as failed:
        raise CannotListen(f"{authority} is no authority's certificate: {failed}") from failed
    context.verify_mode = ssl.CERT_REQUIRED if only else ssl.CERT_OPTIONAL
    # every connection shows its certificate anew: a ticket would stand for one that was revoked meanwhile
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


class Door(NamedTuple):
    """Where to listen, and how.

    Attributes:
        host: the address; None for all.
        port: the port; 0 for any free one.
        websocket: WebSocket instead of plain MQTT.
        tls: the certificates, or None for no TLS.
    """

    host: str | None
    port: int
    websocket: bool = False
    tls: ssl.SSLContext | None = None


class Listening:
    """One listener, accepting. aMQTT keeps it as its server instance.

    Args:
        sockets: bound and listening.
        door: what they were opened for. It may be replaced: who comes after that gets the new certificates.
        bounds: what a connection may take.
        on_socket: takes what comes.
    """

    def __init__(self, sockets: list[socket.socket], door: Door, bounds: Bounds, on_socket: OnSocket) -> None:
        self.sockets = sockets
        self.door = door
        self._bounds = bounds
        self._on_socket = on_socket
        self._buffer = memoryview(bytearray(READ_AT_ONCE))
        self._is_told = False
        self._event_loop = asyncio.get_running_loop()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}
        for one in sockets:
            self._resume(one)

    async def open(self, raw: socket.socket) -> Link:
        """Make a link of an accepted connection, within the time it has for its CONNECT.

        Raises:
            OSError: its handshake failed, or took too long.
        """
        options: dict[str, Any] = {"ssl": self.door.tls}
        if self.door.tls is not None:
            options |= {"ssl_handshake_timeout": self._bounds.connect_s, "ssl_shutdown_timeout": self._bounds.close_s}
        stream = StreamLink(self._buffer)
        # uvloop gives back a protocol of its own
        await self._event_loop.connect_accepted_socket(lambda: stream, raw, **options)
        return WebSocketLink(stream, 2 * self._bounds.packet_bytes) if self.door.websocket else stream

    def close(self) -> None:
        """Accept nobody any more."""
        for timer in self._paused.values():
            timer.cancel()
        for one in self.sockets:
            self._event_loop.remove_reader(one)
            one.close()

    async def wait_closed(self) -> None:
        """Nothing: they are closed at once. aMQTT waits for it."""

    def _accept(self, listening: socket.socket) -> None:
        """Take one connection: while more are waiting, accepting alone would let nobody else have a turn.

        A callback of the loop, and not a task: one that is cancelled as somebody comes loses who came.
        """
        try:
            raw, peer = listening.accept()
        except OSError as failed:
            if failed.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._pause(listening, failed)
            return  # else that one is gone already
        self._is_told = False
        raw.setblocking(False)  # noqa: FBT003 - the system's signature
        self._on_socket(self, raw, str(peer[0]))

    def _pause(self, listening: socket.socket, failed: OSError) -> None:
        """Accept nobody for a while."""
        if not self._is_told:
            log.error("nobody can connect: %s; raise the limit on open files", _reason(failed))
        self._is_told = True
        self._event_loop.remove_reader(listening)
        self._paused[listening] = self._event_loop.call_later(_OUT_OF_FILES_S, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        self._event_loop.add_reader(listening, self._accept, listening)


async def open_sockets(host: str | None, port: int) -> list[socket.socket]:
    """Bind and listen on every address of a host; None for all there are.

    Raises:
        CannotListen: one cannot be had.
    """
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            raw = socket.socket(family, kind, protocol)
            opened.append(raw)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            raw.bind(address)
            raw.listen(_BACKLOG)
            raw.setblocking(False)  # noqa: FBT003 - the system's signature
    except OSError as failed:
        for raw in opened:
            with contextlib.suppress(OSError):
                raw.close()
        raise CannotListen(f"cannot listen on {host}:{port}: {_reason(failed)}") from failed
    return opened


def _reason(failed: OSError) -> str:
    code = failed.errno
    return os.strerror(code) if code is not None and code > 0 else str(failed.strerror or failed)
