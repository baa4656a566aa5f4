"""Packets out of a stream of bytes, with a bound on what is kept of them, and PUBLISH. No I/O.

Everything is read by the codec but PUBLISH: that is the one packet whose content users make. Brokers that do not check
UTF-8 (EMQX as configured by default) pass on strings that make the codec panic, so whoever sends them could end the
worker's connection at will. Here the properties are passed over unread; it is also the faster way. What else a worker
deals in all the time is here for speed alone: PUBLISH out, and PUBACK in as nearly all of them are, without properties.

Section numbers are those of the OASIS standard MQTT 5.0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

import mqtt5

from ringline_broker.bindings.framing import MAX_LENGTH, Malformed, length_bytes, packet_at, variable_integer

_PUBLISH: Final = 3
_LESS: Final = "a message with less in it than it says"
_PUBACK: Final = 0x40
_PUBACK_CODES: Final = frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99))
_ID_BYTES: Final = 2
_LENGTH_BYTES: Final = 2
"""What says how long the topic is."""
_PUBLISH_AT_QOS_1: Final = 0x32
_EXPIRY: Final = 0x0502
"""Five bytes of properties, and they are how long the message is of use (section 3.3.2.3.3)."""
_pack_head_1: Final = Struct(">BBH").pack
_pack_head_2: Final = Struct(">BBBH").pack
_pack_id: Final = Struct(">HB").pack
_pack_id_and_expiry: Final = Struct(">HHI").pack
_CONNACK: Final = 2
_OLD_CONNACK_BYTES: Final = 2
"""A CONNACK of MQTT 3.1.1 has no properties, and so no length of them."""


@dataclass(slots=True)  # not frozen, since one is made for every packet: a NamedTuple takes half as long again
class Publish:
    """A message that came; `packet_id` is None at QoS 0. Bytes of the topic that are no UTF-8 come as surrogates."""

    topic: str
    payload: bytes
    packet_id: int | None


@dataclass(slots=True)
class Oversize:
    """A message over the limit, of which nothing else was kept: its topic, its bytes after the fixed header, and its
    packet id, None at QoS 0.
    """

    topic: str
    size: int
    packet_id: int | None


@dataclass(slots=True)
class PubAck:
    """What became of a message that was sent; `reason` is what the broker says of it, which few do."""

    packet_id: int
    code: int
    reason: str | None = None


Packet = mqtt5.Packet | Publish | Oversize | PubAck


class PacketReader:
    """Cuts a stream into packets.

    A message over the limit is read past: users make messages, and whoever hung up for one would be cut off at will.

    Args:
        limit: bytes a packet may have after its fixed header.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = b""
        self._at = 0
        self._passing: Oversize | None = None
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self._left:
            passed = min(self._left, len(data))
            self._left -= passed
            data = data[passed:]
        self._buffer, self._at = self._buffer[self._at :] + data, 0

    def packets(self) -> Iterator[Packet]:
        """The packets that are all there. Whoever stops asking gets the rest of them with the next call.

        Raises:
            Malformed: the stream is of no more use.
        """
        if self._passing is not None and not self._left:
            passed, self._passing = self._passing, None
            yield passed
        buffer = self._buffer
        at = self._at
        while (header := packet_at(buffer, at, MAX_LENGTH)) is not None:
            start, end = header
            if end - start > self._limit:
                over = _oversize(buffer[at], buffer[start:], end - start, self._limit)
                if over is None:
                    break
                if end > len(buffer):
                    self._passing, self._left, at = over, end - len(buffer), len(buffer)
                    break
                self._at = at = end
                yield over
                continue
            if end > len(buffer):
                break
            first, self._at = buffer[at], end
            if first >> 4 == _PUBLISH:
                yield _publish(first, buffer[start:end])
            elif first == _PUBACK and (ack := _puback(buffer[start:end])) is not None:
                yield ack
            else:
                yield _other(buffer[at:end])
            at = end
        self._buffer, self._at = buffer[at:], 0


def publish(topic: str, payload: bytes, packet_id: int, expiry_s: int | None) -> bytes:
    """A PUBLISH at QoS 1, as the codec writes it; `expiry_s` is how long it is of use. The topic has no wildcards."""
    name = topic.encode()
    size = len(name)
    middle = _pack_id(packet_id, 0) if expiry_s is None else _pack_id_and_expiry(packet_id, _EXPIRY, expiry_s)
    length = 2 + size + len(middle) + len(payload)
    if length < 0x80:  # noqa: PLR2004 - seven bits a byte of length
        head = _pack_head_1(_PUBLISH_AT_QOS_1, length, size)
    elif length < 0x4000:  # noqa: PLR2004 - twice seven
        head = _pack_head_2(_PUBLISH_AT_QOS_1, length & 0x7F | 0x80, length >> 7, size)
    else:
        head = bytes((_PUBLISH_AT_QOS_1,)) + length_bytes(length) + size.to_bytes(2, "big")
    return head + name + middle + payload


def _puback(body: bytes) -> PubAck | None:
    """Section 3.4, where it has no properties; None where it has, or is none."""
    size = len(body)
    if size == _ID_BYTES:
        return PubAck(body[0] << 8 | body[1], 0)
    if size == _ID_BYTES + 1 or (size == _ID_BYTES + 2 and not body[-1]):
        code = body[_ID_BYTES]
        if code in _PUBACK_CODES:
            return PubAck(body[0] << 8 | body[1], code)
    return None


def _oversize(first: int, body: bytes, size: int, limit: int) -> Oversize | None:
    """A message over the limit, from what of its body is there; None where that does not say enough of it yet."""
    if first >> 4 != _PUBLISH:
        raise Malformed(f"a packet of {size} bytes; the limit is {limit}")
    qos = first >> 1 & 3
    if qos > 1:
        raise _too_high(qos)
    if len(body) < _LENGTH_BYTES:
        return None
    at = _LENGTH_BYTES + (body[0] << 8 | body[1])
    end = at + _ID_BYTES * qos
    if len(body) < end <= size:
        return None
    packet_id = int.from_bytes(body[at:end], "big") if qos else None
    if at == _LENGTH_BYTES or end > size or packet_id == 0:
        raise Malformed(_LESS)
    return Oversize(body[_LENGTH_BYTES:at].decode("utf-8", "surrogateescape"), size, packet_id)


def _too_high(qos: int) -> Malformed:
    return Malformed(f"a message at QoS {qos}, where QoS 1 is the highest subscribed")


def _publish(first: int, body: bytes) -> Publish:
    """Section 3.3."""
    qos = first >> 1 & 3
    if qos > 1:
        raise _too_high(qos)
    try:
        at = 2 + (body[0] << 8) + body[1]
        topic = body[2:at].decode("utf-8", "surrogateescape")
        packet_id = None
        if qos:
            packet_id = body[at] << 8 | body[at + 1]
            at += 2
        properties, at = (body[at], at + 1) if body[at] < 0x80 else variable_integer(body, at) or (len(body), at)  # noqa: PLR2004
    except IndexError:
        raise Malformed(_LESS) from None
    at += properties
    if at > len(body) or not topic or packet_id == 0:
        raise Malformed(_LESS)
    return Publish(topic, body[at:], packet_id)


def _other(whole: bytes) -> Packet:
    if whole[0] >> 4 == _CONNACK and whole[1] == _OLD_CONNACK_BYTES:
        raise Malformed("an answer of MQTT 3.1.1: this broker speaks no MQTT 5")
    try:
        packet, size = mqtt5.read(memoryview(whole))
    except (ValueError, IndexError) as bad:
        raise Malformed(str(bad)) from None
    except BaseException as panicked:
        # the codec's PanicException, of a string that is no UTF-8: no Exception, and its class cannot be imported
        if type(panicked).__module__ != "pyo3_runtime":
            raise
        raise Malformed("a string that is no UTF-8") from None
    if size != len(whole):
        raise Malformed("a packet with more in it than it says")
    if isinstance(packet, mqtt5.PubAckPacket):
        return PubAck(packet.packet_id, int(packet.reason_code), packet.reason_str)
    return packet
