"""A tiny MQTT 3.1.1 client for attacks: it sends any bytes, in any pieces, and does only what it is told.

It builds and reads packets by itself, so that nothing here believes what the server's own codec believes.
"""

import socket
import ssl
import struct
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Subprotocol

from tests.support.bound import BOUND_S

CONNACK, PUBLISH, PUBACK, PUBREC, SUBACK, UNSUBACK, PINGRESP = 2, 3, 4, 5, 9, 11, 13
PING = b"\xc0\x00"
GOODBYE = b"\xe0\x00"


class Wire(Protocol):
    """Bytes there and back."""

    def send(self, data: bytes) -> None: ...

    def receive(self, bound_s: float) -> bytes:
        """Bytes that came; none at the end. Raises TimeoutError where nothing comes."""
        ...

    def cut(self) -> None:
        """End it without a word."""
        ...


class SocketWire:
    """TCP, or TLS where there is a context.

    Args:
        port: on this machine.
        tls: the context.
        window: bytes that the system takes without anybody reading them; its default where 0.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, window: int = 0) -> None:
        raw = socket.socket()
        if window:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(BOUND_S)
        raw.connect(("127.0.0.1", port))
        self.socket = raw if tls is None else tls.wrap_socket(raw, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        self.socket.settimeout(BOUND_S)
        self.socket.sendall(data)

    def receive(self, bound_s: float) -> bytes:
        self.socket.settimeout(max(bound_s, 0.001))
        try:
            return self.socket.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            return b""

    def cut(self) -> None:
        self.socket.close()


class WebSocketWire:
    """WebSocket, over TLS where there is a context."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        scheme = "ws" if tls is None else "wss"
        self.connection: ClientConnection = connect_websocket(
            f"{scheme}://localhost:{port}/mqtt",
            ssl=tls,
            sock=socket.create_connection(("127.0.0.1", port), BOUND_S),
            subprotocols=[Subprotocol("mqtt")],
            compression=None,
            close_timeout=0.1,
        )

    def send(self, data: bytes) -> None:
        self.connection.send(data)

    def receive(self, bound_s: float) -> bytes:
        try:
            message = self.connection.recv(max(bound_s, 0.001))
        except ConnectionClosed:
            return b""
        assert isinstance(message, bytes)
        return message

    def cut(self) -> None:
        self.connection.close()


class Packet(NamedTuple):
    """A packet as it came."""

    kind: int
    flags: int
    body: bytes


class Message(NamedTuple):
    """A PUBLISH as it came."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int
    is_retained: bool

    @classmethod
    def of(cls, packet: Packet) -> "Message":
        qos = packet.flags >> 1 & 3
        length = int.from_bytes(packet.body[:2], "big")
        rest = packet.body[2 + length :]
        packet_id = int.from_bytes(rest[:2], "big") if qos else 0
        return cls(
            packet.body[2 : 2 + length].decode(), rest[2:] if qos else rest, qos, packet_id, bool(packet.flags & 1)
        )


class Ended(Exception):
    """The server ended the connection."""


class Attacker:
    """One connection.

    Args:
        wire: over what.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._came = b""
        self._last_id = 0
        self.session_present = 0
        self._messages: list[Message] = []

    @classmethod
    def tcp(cls, port: int, tls: ssl.SSLContext | None = None) -> Self:
        return cls(SocketWire(port, tls))

    @classmethod
    def websocket(cls, port: int, tls: ssl.SSLContext | None = None) -> Self:
        return cls(WebSocketWire(port, tls))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """End the connection without a word."""
        self.wire.cut()

    def send(self, *packets: bytes) -> None:
        """Send, in one piece."""
        self.wire.send(b"".join(packets))

    # What comes.

    def receive(self, bound_s: float = BOUND_S) -> Packet:
        """The next packet.

        Raises:
            Ended: the connection is over.
            TimeoutError: nothing came.
        """
        until = time.monotonic() + bound_s
        while (packet := self._cut_packet()) is None:
            data = self.wire.receive(until - time.monotonic())
            if not data:
                raise Ended
            self._came += data
        return packet

    def expect(self, kind: int, bound_s: float = BOUND_S) -> Packet:
        """The next packet of this kind; messages that come before it are kept, anything else is wrong."""
        while True:
            packet = self.receive(bound_s)
            if packet.kind == kind:
                return packet
            assert packet.kind == PUBLISH, packet
            self._messages.append(Message.of(packet))

    def message(self, bound_s: float = BOUND_S) -> Message:
        """The next message, not acknowledged."""
        return self._messages.pop(0) if self._messages else Message.of(self.expect(PUBLISH, bound_s))

    def hears(self, payload: bytes, bound_s: float = BOUND_S) -> bool:
        """Whether the next message is this one; False where none comes."""
        try:
            return self.message(bound_s).payload == payload
        except (TimeoutError, Ended):
            return False

    def messages(self) -> list[Message]:
        """All messages that the server sent before it answered a ping now."""
        self.send(PING)
        self.expect(PINGRESP)
        messages, self._messages = self._messages, []
        return messages

    def is_ended(self, bound_s: float = BOUND_S) -> bool:
        """Whether the server ends the connection in this time; what comes before that is dropped."""
        until = time.monotonic() + bound_s
        try:
            while (left := until - time.monotonic()) > 0:
                self.receive(left)
        except Ended:
            return True
        except TimeoutError:
            pass
        return False

    def _cut_packet(self) -> Packet | None:
        length, at = 0, 1
        while True:
            if at >= len(self._came):
                return None
            byte = self._came[at]
            length |= (byte & 0x7F) << 7 * (at - 1)
            at += 1
            if byte < 0x80:
                break
        if at + length > len(self._came):
            return None
        packet = Packet(self._came[0] >> 4, self._came[0] & 15, self._came[at : at + length])
        self._came = self._came[at + length :]
        return packet

    # What a well-behaved client does.

    def connect(
        self,
        user: str,
        password: str | None = None,
        client_id: str = "",
        *,
        clean: bool = True,
        keep_alive: int = 60,
        will: tuple[str, bytes] | None = None,
    ) -> int:
        """Log in; the CONNACK's code. The password is the one that the user has in these tests, if not given."""
        word = password_of(user) if password is None else password
        self.send(connect_packet(user, word, client_id, clean=clean, keep_alive=keep_alive, will=will))
        self.session_present, code = self.expect(CONNACK).body[:2]
        return code

    def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """Subscribe; the SUBACK's codes."""
        self.send(subscribe_packet(self._next_id(), *((one, qos) for one in filters)))
        return list(self.expect(SUBACK).body[2:])

    def unsubscribe(self, *filters: str) -> None:
        self.send(unsubscribe_packet(self._next_id(), *filters))
        self.expect(UNSUBACK)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1, and wait for the PUBACK."""
        packet_id = self._next_id()
        self.send(publish_packet(topic, payload, 1, packet_id, retain=retain))
        assert self.expect(PUBACK).body == struct.pack("!H", packet_id)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def password_of(user: str) -> str:
    """The password that a user has in these tests."""
    return f"password of {user}"


@contextmanager
def device(port: int, user: str, *filters: str, client_id: str = "", clean: bool = True) -> Generator[Attacker]:
    """A connection of a user that is logged in and subscribed."""
    with Attacker.tcp(port) as attacker:
        assert attacker.connect(user, client_id=client_id, clean=clean) == 0
        if filters:
            assert attacker.subscribe(*filters) == [1] * len(filters)
        yield attacker


# Packets.


def text(value: str | bytes) -> bytes:
    """A string with its length."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(raw)) + raw


def length(number: int) -> bytes:
    """A remaining length."""
    out = bytearray()
    while True:
        number, digit = number >> 7, number & 0x7F
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def packet(first: int, body: bytes) -> bytes:
    """A packet with this first byte."""
    return bytes([first]) + length(len(body)) + body


def connect_packet(
    user: str | None,
    password: str | None,
    client_id: str = "",
    *,
    clean: bool = True,
    keep_alive: int = 60,
    will: tuple[str, bytes] | None = None,
    will_flags: int = 0x04,
    level: int = 4,
) -> bytes:
    """A CONNECT; `will_flags` has the will's QoS and retain bits too."""
    flags = 0x02 * clean | 0x80 * (user is not None) | 0x40 * (password is not None) | will_flags * (will is not None)
    body = text("MQTT") + bytes([level, flags]) + struct.pack("!H", keep_alive) + b"\0" * (level == 5) + text(client_id)
    for part in (*(will or ()), user, password):
        body += b"" if part is None else text(part)
    return packet(0x10, body)


def publish_packet(topic: str, payload: bytes, qos: int = 0, packet_id: int = 1, *, retain: bool = False) -> bytes:
    """A PUBLISH."""
    number = struct.pack("!H", packet_id) if qos else b""
    return packet(0x30 | qos << 1 | retain, text(topic) + number + payload)


def subscribe_packet(packet_id: int, *filters: tuple[str, int]) -> bytes:
    """A SUBSCRIBE."""
    return packet(0x82, struct.pack("!H", packet_id) + b"".join(text(one) + bytes([qos]) for one, qos in filters))


def unsubscribe_packet(packet_id: int, *filters: str) -> bytes:
    """An UNSUBSCRIBE."""
    return packet(0xA2, struct.pack("!H", packet_id) + b"".join(text(one) for one in filters))


def puback_packet(packet_id: int) -> bytes:
    """A PUBACK."""
    return b"\x40\x02" + struct.pack("!H", packet_id)
