"""MQTT 3.1.1 packets as a server reads and writes them. No I/O; strict; only what Ringline offers.

Section numbers are those of the OASIS standard MQTT 3.1.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from ringline_broker.bindings.framing import Malformed, length_bytes, packet_at


class PacketType(IntEnum):
    """Control packet types (section 2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class ConnectRefused(Exception):
    """A CONNECT that is answered with a refusal.

    Attributes:
        connack: the packet that says so.
    """

    def __init__(self, text: str, connack: bytes) -> None:
        super().__init__(text)
        self.connack = connack


ACCEPTED: Final = 0
BAD_PROTOCOL: Final = 1
BAD_CLIENT_ID: Final = 2
UNAVAILABLE: Final = 3
BAD_CREDENTIALS: Final = 4
NOT_AUTHORIZED: Final = 5
SUBSCRIBE_FAILED: Final = 0x80

PINGRESP: Final = bytes((PacketType.PINGRESP << 4, 0))
_CONNACK_V5_BAD_PROTOCOL: Final = bytes((PacketType.CONNACK << 4, 3, 0, 0x84, 0))
_LEVEL_311: Final = 4
_LEVEL_5: Final = 5
_FIXED_FLAGS: Final[dict[int, int]] = {
    PacketType.CONNECT: 0,
    PacketType.PUBACK: 0,
    PacketType.SUBSCRIBE: 2,
    PacketType.UNSUBSCRIBE: 2,
    PacketType.PINGREQ: 0,
    PacketType.DISCONNECT: 0,
}


class Packet(NamedTuple):
    """One packet as it came: its type, its flags, what follows the fixed header."""

    kind: int
    flags: int
    body: bytes


class PacketReader:
    """Cuts a stream into packets.

    Args:
        limit: bytes a packet may have after its fixed header.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def is_inside(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._buffer)

    def keep(self, data: bytes) -> None:
        """Take bytes, and give their packets with the next call of `feed`."""
        self._buffer += data

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Take bytes, give the packets they complete.

        Raises:
            Malformed: a length over the limit or of more than four bytes (section 2.2.3).
        """
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while (header := packet_at(buffer, at, self._limit)) is not None:
                start, end = header
                if end > len(buffer):
                    break
                first = buffer[at]
                at = end  # before the packet is given away: the caller may take no more than one
                yield Packet(first >> 4, first & 0x0F, bytes(buffer[start:end]))
        finally:
            del buffer[:at]


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT (section 3.1)."""

    client_id: str
    clean_session: bool
    keep_alive_s: int
    username: str | None
    password: bytes | None
    has_will: bool


class Publish(NamedTuple):
    """A PUBLISH (section 3.3); packet_id is None at QoS 0."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int | None


class _Body:
    """Reads fields from a packet's body."""

    def __init__(self, packet: Packet) -> None:
        self._body = packet.body
        self._at = 0

    def byte(self) -> int:
        return self._take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def packet_id(self) -> int:
        number = self.number()
        if number == 0:
            raise Malformed("packet id 0 (section 2.3.1)")
        return number

    def binary(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise Malformed("text that is not UTF-8 (section 1.5.3)") from None
        if "\0" in text:
            raise Malformed("text with U+0000 (section 1.5.3)")
        return text

    def rest(self) -> bytes:
        rest = self._body[self._at :]
        self._at = len(self._body)
        return rest

    @property
    def is_done(self) -> bool:
        return self._at == len(self._body)

    def finish(self) -> None:
        if not self.is_done:
            raise Malformed("more bytes than the packet's fields")

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._body):
            raise Malformed("a packet that ends inside a field")
        taken = self._body[self._at : end]
        self._at = end
        return taken


def check_flags(packet: Packet) -> None:
    """Section 2.2.2: every type but PUBLISH has fixed flags.

    Raises:
        Malformed: other flags, or a type that a client may not send.
    """
    if packet.kind == PacketType.PUBLISH:
        return
    if _FIXED_FLAGS.get(packet.kind) != packet.flags:
        raise Malformed(f"packet type {packet.kind} with flags {packet.flags}")
    if packet.body and packet.kind in (PacketType.PINGREQ, PacketType.DISCONNECT):
        raise Malformed(f"packet type {packet.kind} with a body")


def read_connect(packet: Packet) -> Connect:
    """Read a connection's first packet.

    Raises:
        Malformed: it is no CONNECT, or a broken one.
        ConnectRefused: another protocol version, or a client id that cannot be taken.
    """
    if packet.kind != PacketType.CONNECT:
        raise Malformed("the first packet is no CONNECT (section 3.1.0)")
    check_flags(packet)
    body = _Body(packet)
    name, level = body.text(), body.byte()
    if name not in ("MQTT", "MQIsdp"):
        raise Malformed("not the protocol MQTT")
    if level == _LEVEL_5:
        raise ConnectRefused("MQTT 5; this broker speaks MQTT 3.1.1", _CONNACK_V5_BAD_PROTOCOL)
    if name != "MQTT" or level != _LEVEL_311:
        raise ConnectRefused(f"protocol level {level}; this broker speaks MQTT 3.1.1", connack(BAD_PROTOCOL))
    return _read_connect_fields(body)


def _read_connect_fields(body: _Body) -> Connect:
    flags = body.byte()
    has_will, has_password, has_username = bool(flags & 0x04), bool(flags & 0x40), bool(flags & 0x80)
    will_qos = (flags >> 3) & 3
    if flags & 0x01 or (not has_will and flags & 0x38) or will_qos == 3 or (has_password and not has_username):  # noqa: PLR2004 - QoS 3
        raise Malformed("connect flags that contradict each other (section 3.1.2)")
    keep_alive_s = body.number()
    client_id = body.text()
    if has_will:
        body.text()
        body.binary()
    username = body.text() if has_username else None
    password = body.binary() if has_password else None
    body.finish()
    clean = bool(flags & 0x02)
    if not client_id and not clean:
        raise ConnectRefused("no client id and no clean session (section 3.1.3.1)", connack(BAD_CLIENT_ID))
    return Connect(client_id, clean, keep_alive_s, username, password, has_will)


def read_publish(packet: Packet) -> Publish:
    """Read a PUBLISH.

    Raises:
        Malformed: QoS 3, QoS 2 (which this broker does not offer), DUP at QoS 0, or a topic no message can have.
    """
    qos = (packet.flags >> 1) & 3
    if qos > 1:
        raise Malformed(f"QoS {qos}; this broker offers 0 and 1")
    if qos == 0 and packet.flags & 0x08:
        raise Malformed("DUP at QoS 0 (section 3.3.1.1)")
    body = _Body(packet)
    topic = body.text()
    if not topic or "+" in topic or "#" in topic:
        raise Malformed("a topic name that is empty or has wildcards (section 3.3.2.1)")
    packet_id = body.packet_id() if qos else None
    return Publish(topic, body.rest(), qos, packet_id)


def read_puback(packet: Packet) -> int:
    """The packet id of a PUBACK."""
    if len(packet.body) != 2:  # noqa: PLR2004 - the packet id and nothing else (section 3.4)
        raise Malformed("a PUBACK that is not a packet id")
    packet_id = int.from_bytes(packet.body, "big")
    if packet_id == 0:
        raise Malformed("packet id 0 (section 2.3.1)")
    return packet_id


def read_subscribe(packet: Packet) -> tuple[int, list[tuple[str, int]]]:
    """The packet id of a SUBSCRIBE, its filters and the QoS asked for."""
    body = _Body(packet)
    packet_id = body.packet_id()
    filters: list[tuple[str, int]] = []
    while not body.is_done:
        topic_filter, qos = body.text(), body.byte()
        if qos > 2 or not topic_filter:  # noqa: PLR2004 - QoS 2
            raise Malformed("a subscription without a filter or with a QoS above 2 (section 3.8.3)")
        filters.append((topic_filter, qos))
    if not filters:
        raise Malformed("a SUBSCRIBE without filters (section 3.8.3)")
    return packet_id, filters


def read_unsubscribe(packet: Packet) -> tuple[int, list[str]]:
    """The packet id of an UNSUBSCRIBE and its filters."""
    body = _Body(packet)
    packet_id = body.packet_id()
    filters: list[str] = []
    while not body.is_done:
        filters.append(body.text())
    if not filters or "" in filters:
        raise Malformed("an UNSUBSCRIBE without filters, or with an empty one (section 3.10.3)")
    return packet_id, filters


def connack(code: int) -> bytes:
    """A CONNACK; sessions are clean, so none is ever present."""
    return bytes((PacketType.CONNACK << 4, 2, 0, code))


def publish(topic: bytes, payload: bytes, packet_id: int | None) -> bytes:
    """A PUBLISH at QoS 1, or at QoS 0 without a packet id."""
    number = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    first = PacketType.PUBLISH << 4 | (0 if packet_id is None else 2)
    length = 2 + len(topic) + len(number) + len(payload)
    return b"".join((bytes((first,)), length_bytes(length), len(topic).to_bytes(2, "big"), topic, number, payload))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """A SUBACK, one code a filter."""
    return bytes((PacketType.SUBACK << 4,)) + length_bytes(2 + len(codes)) + packet_id.to_bytes(2, "big") + bytes(codes)


def unsuback(packet_id: int) -> bytes:
    """An UNSUBACK."""
    return bytes((PacketType.UNSUBACK << 4, 2)) + packet_id.to_bytes(2, "big")
