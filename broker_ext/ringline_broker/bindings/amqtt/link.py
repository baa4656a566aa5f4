"""Bytes to and from one device, over TCP, TLS or WebSocket, so that nothing above needs to know which."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol, cast

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

READ_AT_ONCE = 16_384
"""Bytes; small, since nobody else is served while what was read is worked through."""
_MAX_EMPTY_MESSAGES = 16


class Receiver(Protocol):
    """Who takes what a link brings."""

    def received(self, data: bytes) -> None:
        """Take bytes, in the order they came."""
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
        on_connection: called with the link once it stands; it calls `start`.
        buffer: where to read to. All links of one event loop may share one: what is read is taken out at once.
    """

    def __init__(self, on_connection: Callable[["StreamLink"], None], buffer: memoryview) -> None:
        self._on_connection = on_connection
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
            # who asked for no keepalive and vanished is found out by the system, in hours
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._on_connection(self)

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


class WebSocketLink:
    """WebSocket with the subprotocol `mqtt`; packets may be cut across messages in any way (section 6)."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        peer = connection.remote_address
        self.peer = f"{peer[0]}:{peer[1]}" if peer else "unknown"
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._queued = 0
        self._sender = asyncio.create_task(self._send())
        self._reader: asyncio.Task[None] | None = None
        self._may_read = asyncio.Event()
        self._may_read.set()

    @property
    def waiting(self) -> int:
        """Bytes in the queue and in the transport's buffer."""
        return self._queued + self._connection.transport.get_write_buffer_size()

    def start(self, receiver: Receiver) -> None:
        """Bring what comes."""
        self._reader = asyncio.create_task(self._read(receiver))

    def pause(self) -> None:
        """Leave what comes to the library's short queue."""
        self._may_read.clear()

    def resume(self) -> None:
        """Go on."""
        self._may_read.set()

    def write(self, data: bytes) -> None:
        """Queue for sending."""
        self._queued += len(data)
        self._outgoing.put_nowait(data)

    def close(self) -> None:
        """End after what was written."""
        self._outgoing.put_nowait(None)
        self._may_read.set()

    def abort(self) -> None:
        """End at once."""
        self._sender.cancel()
        self._may_read.set()
        self._connection.transport.abort()

    async def closed(self) -> None:
        """Wait for the tasks that send and read."""
        tasks = [self._sender] if self._reader is None else [self._sender, self._reader]
        await asyncio.wait(tasks)

    async def _read(self, receiver: Receiver) -> None:
        """Text messages are not MQTT and end the connection, as many empty ones in a row do."""
        empty_ones = 0
        with contextlib.suppress(ConnectionClosed):
            while empty_ones < _MAX_EMPTY_MESSAGES:
                message = await self._connection.recv()
                await self._may_read.wait()
                if not isinstance(message, bytes):
                    break
                empty_ones = 0 if message else empty_ones + 1
                if message:
                    receiver.received(message)
        receiver.ended()

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (data := await self._outgoing.get()) is not None:
                await self._connection.send(data)
                self._queued -= len(data)
            await self._connection.close()
