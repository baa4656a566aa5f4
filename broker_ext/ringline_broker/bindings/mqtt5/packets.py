"""Packets out of a stream of bytes, with a bound on their size. No I/O.

Everything is read by the codec but PUBLISH: that is the one packet whose content users make. Brokers that do not check
UTF-8 (EMQX as configured by default) pass on strings that make the codec panic, so whoever sends them could end the
worker's connection at will. Here the properties are passed over unread; it is also the faster way.

Section numbers are those of the OASIS standard MQTT 5.0.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import mqtt5

from ringline_broker.bindings.framing import Malformed, packet_at, variable_integer

_PUBLISH: Final = 3
_CONNACK: Final = 2
_OLD_CONNACK_BYTES: Final = 2
"""A CONNACK of MQTT 3.1.1 has no properties, and so no length of them."""

class Publish(NamedTuple):
    """A message that came; `packet_id` is None at QoS 0. Bytes of the topic that are no UTF-8 come as surrogates."""

    topic: str
    payload: bytes
    packet_id: int | None


Packet = mqtt5.Packet | Publish


class PacketReader:
    """Cuts a stream into packets.

    Args:
        limit: bytes a packet may have after its fixed header.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        self._buffer += data

    def packets(self) -> Iterator[Packet]:
        """The packets that are all there. Whoever stops asking gets the rest of them with the next call.

        Raises:
            Malformed: the stream is of no more use.
        """
        buffer = self._buffer
        at = 0
        try:
            while (header := packet_at(buffer, at, self._limit)) is not None:
                start, end = header
                if end > len(buffer):
                    break
                first, whole, at = buffer[at], bytes(buffer[at:end]), end
                yield _publish(first, whole[start - end :]) if first >> 4 == _PUBLISH else _other(whole)
        finally:
            del buffer[:at]


def _publish(first: int, body: bytes) -> Publish:
    """Section 3.3."""
    qos = first >> 1 & 3
    if qos > 1:
        raise Malformed(f"a message at QoS {qos}, where QoS 1 is the highest subscribed")
    try:
        at = 2 + (body[0] << 8) + body[1]
        topic = body[2:at].decode("utf-8", "surrogateescape")
        packet_id = None
        if qos:
            packet_id = body[at] << 8 | body[at + 1]
            at += 2
        properties, at = (body[at], at + 1) if body[at] < 0x80 else variable_integer(body, at) or (len(body), at)  # noqa: PLR2004
    except IndexError:
        raise Malformed("a message with less in it than it says") from None
    at += properties
    if at > len(body) or not topic or packet_id == 0:
        raise Malformed("a message with less in it than it says")
    return Publish(topic, body[at:], packet_id)


def _other(whole: bytes) -> mqtt5.Packet:
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
    return packet
