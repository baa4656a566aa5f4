"""Bytes to and from one device, over TCP, TLS or WebSocket, so that nothing above needs to know which."""

import asyncio
import socket
import ssl
from typing import Final, Protocol, cast

READ_AT_ONCE: Final = 16_384
"""Bytes; small, since nobody else is served while what was read is worked through."""
_SILENT_S: Final = 60
_PROBE_EVERY_S: Final = 15
_PROBES: Final = 4


class Receiver(Protocol):
    """Who takes what a link brings."""

    def received(self, data: bytes) -> None:
        """Take bytes, in the order they came; none where the other end made us work without sending any."""
        ...

    def ended(self) -> None:
        """Nothing more comes; called once."""
        ...


class Link(Protocol):
    """One connection."""

    @property
    def peer(self) -> str:
        """The other end's address, for logs."""
        ...

    @property
    def waiting(self) -> int:
        """Bytes written that the network has not taken yet."""
        ...

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session, where there is one."""
        ...

    def start(self, receiver: Receiver) -> None:
        """Bring what comes to the receiver, from now on."""
        ...

    def pause(self) -> None:
        """Bring nothing more; a little that was read already may still come."""
        ...

    def resume(self) -> None:
        """Go on after `pause`."""
        ...

    def write(self, data: bytes) -> None:
        """Send; never waits. The caller watches `waiting`."""
        ...

    def close(self) -> None:
        """End the connection after what was written; a second call does nothing."""
        ...

    def abort(self) -> None:
        """End the connection at once, written or not."""
        ...

    async def closed(self) -> None:
        """Wait until it has ended, after `close` or `abort`. It never does where the other end takes nothing any more:
        whoever waits also sees to it that somebody aborts.
        """
        ...


class StreamLink(asyncio.BufferedProtocol):
    """TCP or TLS. A protocol and not a stream: a task woken for every packet costs more than the packet.

    Args:
        buffer: where to read to. All links of one event loop may share one: what is read is taken out at once.
    """

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._receiver: Receiver | None = None
        self._early = b""
        self._ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport. It may bring something before there is a receiver: no loop can be told not to."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's
        peer = transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if peer else "unknown"
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _find_out_the_dead(raw)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were read."""
        data = bytes(self._buffer[:nbytes])
        if self._receiver is None:
            self._early += data
            self.pause()
        else:
            self._receiver.received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It is over, whoever ended it."""
        if not self._ended.done():
            self._ended.set_result(None)
        if self._receiver is not None:
            self._receiver.ended()
        self._receiver = None

    @property
    def waiting(self) -> int:
        """Bytes in the transport's buffer."""
        return self._transport.get_write_buffer_size()

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session."""
        found: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        return found

    def start(self, receiver: Receiver) -> None:
        """Bring what comes."""
        self._receiver = receiver
        if self._early:
            early, self._early = self._early, b""
            self.resume()
            receiver.received(early)
        if self._ended.done():
            receiver.ended()

    def pause(self) -> None:
        """Leave what comes to the system's buffers."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """End after what was written."""
        self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    async def closed(self) -> None:
        """Wait for the transport."""
        await asyncio.wait((self._ended,))


def _find_out_the_dead(raw: socket.socket) -> None:
    """Have the system ask who is silent, and end what does not answer: a client may ask for no keepalive of MQTT."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", _SILENT_S), ("TCP_KEEPINTVL", _PROBE_EVERY_S), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, option):  # Linux has them all, others some
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
