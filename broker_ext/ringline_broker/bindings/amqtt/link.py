"""Bytes to and from one device, over TCP, TLS or WebSocket, so that nothing above needs to know which."""

import asyncio
import contextlib
import socket
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

READ_AT_ONCE = 16_384
"""Bytes; small, since nobody else is served while what was read is worked through."""
_MAX_EMPTY_MESSAGES = 16


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

    async def read(self) -> bytes:
        """Bytes that came, or none at all where the connection is over."""
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


class StreamLink:
    """TCP or TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        peer = writer.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if peer else "unknown"
        raw = writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # who asked for no keepalive and vanished is found out by the system, in hours
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @property
    def waiting(self) -> int:
        """Bytes in the transport's buffer."""
        return self._writer.transport.get_write_buffer_size()

    async def read(self) -> bytes:
        """Bytes that came."""
        try:
            return await self._reader.read(READ_AT_ONCE)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Send."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        """End after what was written."""
        self._writer.close()

    def abort(self) -> None:
        """End at once."""
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Wait for the transport."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class WebSocketLink:
    """WebSocket with the subprotocol `mqtt`; packets may be cut across messages in any way (section 6)."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        peer = connection.remote_address
        self.peer = f"{peer[0]}:{peer[1]}" if peer else "unknown"
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._queued = 0
        self._sender = asyncio.create_task(self._send())

    @property
    def waiting(self) -> int:
        """Bytes in the queue and in the transport's buffer."""
        return self._queued + self._connection.transport.get_write_buffer_size()

    async def read(self) -> bytes:
        """The next message's bytes; text messages are not MQTT and end the connection."""
        message: bytes | str = b""
        empty_ones = 0
        while not message and empty_ones < _MAX_EMPTY_MESSAGES:
            try:
                message = await self._connection.recv()
            except ConnectionClosed:
                return b""
            empty_ones += 1
        return message if isinstance(message, bytes) else b""

    def write(self, data: bytes) -> None:
        """Queue for sending."""
        self._queued += len(data)
        self._outgoing.put_nowait(data)

    def close(self) -> None:
        """End after what was written."""
        self._outgoing.put_nowait(None)

    def abort(self) -> None:
        """End at once."""
        self._sender.cancel()
        self._connection.transport.abort()

    async def closed(self) -> None:
        """Wait for the task that sends."""
        await asyncio.wait((self._sender,))

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (data := await self._outgoing.get()) is not None:
                await self._connection.send(data)
                self._queued -= len(data)
            await self._connection.close()
