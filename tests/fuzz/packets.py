"""MQTT packets: good, in the wrong order, and broken in every way that a stream of them can be."""

import random
import struct
from collections.abc import Callable
from typing import Final

from ringline.protocol.topics import Topics
from tests.attacks.raw_mqtt import (
    GOODBYE,
    PING,
    connect_packet,
    packet,
    puback_packet,
    publish_packet,
    subscribe_packet,
    unsubscribe_packet,
)
from tests.faults.mutations import Bytes
from tests.fuzz.payloads import DEVICES, Payloads, hostile

TOPICS: Final = Topics()
_LONGEST: Final = 40_000
"""Bytes; a little more than a packet may have."""
_LENGTHS: Final = (
    b"\x00", b"\x01", b"\x02", b"\x7f", b"\x80\x01", b"\x80\x80\x01", b"\x80\x80\x02", b"\x81\x80\x02",
    b"\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x01", b"\x80\x00", b"\x82\x80\x00",
)  # fmt: skip
"""Remaining lengths: short, at the limits, huge, endless, and longer than they need be."""
_ODD_TOPICS: Final = (
    "", "#", "+", "ringline/v1/#", "ringline/v1/u/+/evt", "$SYS/#", "ringline/v1/u/alice/req", "ringline/v1/u/bob/evt",
    "ringline/v1/g/g0.0/evt", "a\0b", "\ud800", "/" * 200, "x" * 1_000,
)  # fmt: skip
_FOREIGN: Final = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0",
)


class Packets:
    """Makes packets.

    Args:
        chance: what decides.
        payloads: what is in them.
    """

    def __init__(self, chance: random.Random, payloads: Payloads) -> None:
        self._random = chance
        self._payloads = payloads
        self._bytes = some = Bytes(chance)
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            some.flip, some.flip, some.flip, some.cut, some.drop, some.insert, some.repeat, self._claim_length,
            self._claim_length, self._claim_field, self._zero,
        )  # fmt: skip

    def of_user(self, number: int, user: str) -> bytes:
        """What a user who is logged in sends."""
        match self._random.choices(range(4), (40, 48, 8, 4))[0]:
            case 0:
                return self._mutate(self._packet(number, user), number, user)
            case 1:  # in the wrong order, but each as it should be
                return b"".join(self._packet(number, user) for _ in range(self._random.randint(2, 4)))[:_LONGEST]
            case 2:
                return self._burst(number, user)
            case _:
                return self._random.randbytes(self._random.choice((1, 2, 3, 8, 40, 400)))

    def one(self, number: int, user: str) -> bytes:
        """One packet, broken or not."""
        data = self._packet(number, user)
        return data if self._random.random() < 0.5 else self._mutate(data, number, user)

    def of_stranger(self, number: int) -> bytes:
        """What a connection sends from its first byte on."""
        match self._random.choices(range(5), (40, 20, 15, 15, 10))[0]:
            case 0:
                return self._mutate(self._connect(number), number, "mallory")
            case 1:
                return self._visit(number)
            case 2:
                return self._connect(number)
            case 3:
                return self._packet(number, "mallory") + self._connect(number)
            case _:
                return self._random.choice((b"", *_FOREIGN, self._random.randbytes(self._random.randint(1, 300))))

    def _connect(self, number: int) -> bytes:
        """A CONNECT of anybody, with anything that one may have."""
        chance = self._random
        name = f"u{chance.getrandbits(48):x}"
        user = chance.choice((None, "", "a/b", "#", "$x", "x" * 65, "x" * 3_000, *hostile(number), name, name, name))
        will = chance.choice((None, None, None, (TOPICS.events("bob"), b"forged")))
        return connect_packet(
            user, chance.choice((None, "", "p", "p" * 1_000)), chance.choice(("", "", "phone", "x" * 70, "a/b")),
            clean=chance.random() < 0.8, keep_alive=chance.choice((0, 1, 60, 65_535)), will=will,
            will_flags=chance.choice((0x04, 0x0C, 0x1C, 0x24)), level=chance.choice((4, 4, 4, 4, 3, 5, 6)),
        )  # fmt: skip

    def _visit(self, number: int) -> bytes:
        """Somebody nobody ever saw, all at once: in, subscribe, ask, go."""
        user = f"u{self._random.getrandbits(48):x}"
        topics = (TOPICS.events(user), 1), (TOPICS.answers(user, "d1"), 1)
        requests = [publish_packet(TOPICS.requests(user), self._payloads.make(number), 1, at) for at in (1, 2)]
        return b"".join((connect_packet(user, None), subscribe_packet(1, *topics), *requests, GOODBYE))

    def _packet(self, number: int, user: str) -> bytes:
        """A packet as it should be, whether or not it is its time."""
        chance = self._random
        packet_id = chance.choice((1, 2, 3, chance.randrange(65_536)))
        match chance.choices(range(8), (52, 15, 8, 12, 10, 0.5, 0.5, 2))[0]:
            case 0:
                qos = chance.choices(range(4), (20, 77, 2, 1))[0]
                topic = chance.choice((*[TOPICS.requests(user)] * 150, *_ODD_TOPICS))
                return _publish(topic, self._payloads.make(number), qos, packet_id, retain=chance.random() < 0.1)
            case 1:
                return packet(0x82, struct.pack("!H", packet_id) + b"".join(self._filters(user, with_qos=True)))
            case 2:
                return packet(0xA2, struct.pack("!H", packet_id) + b"".join(self._filters(user, with_qos=False)))
            case 3:
                return puback_packet(packet_id)
            case 4:
                return PING
            case 5:
                return GOODBYE
            case 6:
                return self._connect(number)
            case _:  # of any type, those that a client never sends and those that do not exist too
                return packet(chance.randrange(256), chance.randbytes(chance.choice((0, 1, 2, 3, 10))))

    def _filters(self, user: str, *, with_qos: bool) -> list[bytes]:
        chance = self._random
        own = (TOPICS.events(user), *(TOPICS.answers(user, device) for device in DEVICES))
        count = chance.choices((0, 1, 2, 5, 100), (2, 70, 17, 10, 1))[0]
        names = [chance.choice((*own * 10, *_ODD_TOPICS[:-2])) for _ in range(count)]
        levels = chance.choices((0, 1, 2, 3, 128), (30, 50, 18, 1, 1), k=count)
        return [_text(name) + bytes((level,)) * with_qos for name, level in zip(names, levels, strict=True)]

    def _burst(self, number: int, user: str) -> bytes:
        """Many packets at once, of one kind or of any, the last of them often broken."""
        chance = self._random
        count = chance.choice((10, 10, 30, 30, 100, 300))
        if chance.random() < 0.5:
            data = self._packet(number, user) * count
        else:
            data = b"".join(self._packet(number, user) for _ in range(count // 10))
        last = self._mutate(self._packet(number, user), number, user) if chance.random() < 0.3 else b""
        return data[:_LONGEST] + last

    def _mutate(self, data: bytes, number: int, user: str) -> bytes:
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            if self._random.random() < 0.1:
                data = self._bytes.splice(data, self._packet(number, user))
            else:
                data = self._random.choice(self._ways)(data)
        return data[: 2 * _LONGEST]

    def _claim_length(self, data: bytes) -> bytes:
        """Another remaining length than it has."""
        return data[:1] + self._random.choice(_LENGTHS) + data[2:]

    def _claim_field(self, data: bytes) -> bytes:
        """Another length somewhere inside."""
        at = self._bytes.place(data[:24])
        return data[:at] + self._random.choice((b"\0\0", b"\0\1", b"\xff\xff", b"\x7f\xff")) + data[at + 2 :]

    def _zero(self, data: bytes) -> bytes:
        at = self._bytes.place(data)
        return data[:at] + bytes(self._random.choice((1, 4, 40))) + data[at:]


def is_whole(data: bytes) -> bool:
    """Whether what follows these bytes would be read as the next packet."""
    at = 0
    while at < len(data):
        length, shift = 0, 0
        while True:
            at += 1
            if at >= len(data) or shift > 21:
                return False
            length |= (data[at] & 0x7F) << shift
            shift += 7
            if data[at] < 0x80:
                break
        at += 1 + length
    return at == len(data)


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return struct.pack("!H", len(raw)) + raw


def _publish(topic: str, payload: bytes, qos: int, packet_id: int, *, retain: bool) -> bytes:
    number = struct.pack("!H", packet_id) if qos else b""
    return packet(0x30 | qos << 1 | retain, _text(topic) + number + payload)


def marker(number: int) -> tuple[bytes, bytes]:
    """A harmless packet to follow an input, and what the server answers when it is through with that."""
    packet_id = number % 65_535 + 1
    return unsubscribe_packet(packet_id, "-"), b"\xb0\x02" + struct.pack("!H", packet_id)
