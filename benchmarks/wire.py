"""A lean MQTT 3.1.1 device for load: as little work as Python can do, so that the server is what is measured."""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from ringline_broker.bindings.amqtt import mqtt311

HOST = "127.0.0.1"
PASSWORD = "x"
KEEP_ALIVE_S = 0


def _packet(kind: int, body: bytes) -> bytes:
    length = bytearray()
    left = len(body)
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return bytes((kind,)) + bytes(length) + body


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


class LoadDevice(asyncio.Protocol):
    """One connection.

    Args:
        user: who logs in.
        topics: what to subscribe to, QoS 1.
        on_message: takes every message: topic and payload.
        on_lost: told when the connection ends.
        password: what the user logs in with.
    """

    def __init__(
        self, user: str, topics: list[str], on_message: "OnMessage", on_lost: "OnLost", password: str = PASSWORD
    ) -> None:
        self.user = user
        self._password = password
        self.on_subscribed: Callable[[], None] = lambda: None
        self._topics = topics
        self._on_message = on_message
        self._on_lost = on_lost
        self._buffer = b""
        self._packet_id = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's
        name = _text(f"load-{self.user}")
        head = _text("MQTT") + bytes((4, 0xC2)) + KEEP_ALIVE_S.to_bytes(2, "big")
        self.transport.write(_packet(0x10, head + name + _text(self.user) + _text(self._password)))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"{self.user} cannot connect: {exc or 'closed by the server'}"))
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at, acks = 0, b""
        while at + 2 <= len(buffer):
            length, shift, start = 0, 0, at + 1
            while start < len(buffer):
                byte = buffer[start]
                length |= (byte & 0x7F) << shift
                start += 1
                if byte < 0x80:
                    break
                shift += 7
            else:
                break
            end = start + length
            if end > len(buffer):
                break
            acks += self._work(buffer, buffer[at], start, end)
            at = end
        self._buffer = buffer[at:]
        if acks and self.transport is not None:
            self.transport.write(acks)

    def _work(self, buffer: bytes, first: int, start: int, end: int) -> bytes:
        kind = first >> 4
        if kind == mqtt311.PacketType.PUBLISH:
            topic_end = start + 2 + int.from_bytes(buffer[start : start + 2], "big")
            topic = buffer[start + 2 : topic_end]
            ack = b""
            if first & 2:
                ack = b"\x40\x02" + buffer[topic_end : topic_end + 2]
                topic_end += 2
            self._on_message(self, topic, buffer[topic_end:end])
            return ack
        if kind == mqtt311.PacketType.CONNACK:
            if buffer[start + 1]:
                self.ready.set_exception(ConnectionError(f"{self.user} may not connect: {buffer[start + 1]}"))
                return b""
            if self._topics:
                return self._subscription()
            self.ready.set_result(None)
        elif kind == mqtt311.PacketType.SUBACK:
            if self.ready.done():
                self.on_subscribed()
            else:
                self.ready.set_result(None)
        return b""

    def _subscription(self) -> bytes:
        return _packet(0x82, b"\x00\x01" + b"".join(_text(topic) + b"\x01" for topic in self._topics))

    def subscribe(self) -> None:
        """Subscribe to the same topics once more."""
        assert self.transport is not None
        self.transport.write(self._subscription())

    def publish(self, topic: bytes, payload: bytes) -> None:
        """Publish at QoS 1."""
        self._packet_id = self._packet_id % 65_535 + 1
        assert self.transport is not None
        self.transport.write(mqtt311.publish(topic, payload, self._packet_id))


OnMessage = Callable[[LoadDevice, bytes, bytes], None]
OnLost = Callable[[LoadDevice], None]


async def connect(
    port: int,
    user: str,
    topics: list[str],
    on_message: OnMessage,
    on_lost: OnLost,
    *,
    tls: ssl.SSLContext | None = None,
    password: str = PASSWORD,
) -> LoadDevice:
    """Connect one device, and subscribe it where there are topics."""
    _, device = await asyncio.get_running_loop().create_connection(
        lambda: LoadDevice(user, topics, on_message, on_lost, password), HOST, port, ssl=tls
    )
    await device.ready
    return device


def tls_of(authority: str, certificate: str = "") -> ssl.SSLContext | None:
    """The context of a client that trusts an authority, and shows a certificate; None without an authority."""
    if not authority:
        return None
    context = ssl.create_default_context(cafile=authority)
    if certificate:
        context.load_cert_chain(certificate)
    return context
