"""A user's messages that are too large for a worker: they cost the user bandwidth, and no worker its requests.

Mosquitto counts a message that it does not forward, since it is over what the worker announced, against the worker's
receive maximum for ever; so each flood has more of them than that.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mqtt5.address import LinkBounds
from tests.attacks.raw_mqtt import CONNACK, PING, PINGRESP, Attacker, connect_packet, length, packet, text
from tests.support.beside import WorkerRing
from tests.support.deployed import PASSWORD
from tests.support.running import Device

TOPIC: Final = Topics().requests("mallory")
FLOOD: Final = LinkBounds().receive_max + 88
LARGEST: Final = 65_535
"""Bytes that may follow the fixed header where Mosquitto has `max_packet_size 65536`."""
_ALIAS: Final = b"\x23\0\1"


class Flood(NamedTuple):
    """Messages of one shape.

    Attributes:
        name: what they are.
        make: one of them, of a packet id.
        total: how many.
    """

    name: str
    make: Callable[[int], bytes]
    total: int = FLOOD


def _old(size: int, qos: int = 1) -> Callable[[int], bytes]:
    """Of MQTT 3.1.1, with so many bytes after the fixed header."""
    head = text(TOPIC)

    def make(number: int) -> bytes:
        begin = head + struct.pack("!H", number) * (qos > 0)
        return packet(0x30 | qos << 1, begin + bytes(size - len(begin)))

    return make


def _new(size: int, properties: bytes = b"", topic: str = TOPIC) -> Callable[[int], bytes]:
    """Of MQTT 5, likewise."""

    def make(number: int) -> bytes:
        begin = text(topic) + struct.pack("!H", number) + length(len(properties)) + properties
        return packet(0x32, begin + bytes(size - len(begin)))

    return make


def _with_alias(size: int) -> Callable[[int], bytes]:
    """The broker puts the topic in the place of the alias, and passes on more than it took."""
    first, others = _new(200, _ALIAS), _new(size, _ALIAS, "")
    return lambda number: (first if number == 1 else others)(number)


def _floods(level: int, largest: int) -> Iterator[Flood]:
    if level == 4:
        for size in (LinkBounds().max_packet_bytes + 1, largest - 2, largest - 1, largest):
            yield Flood(f"{size} bytes", _old(size))
        yield Flood("at QoS 0", _old(largest, 0))
    else:
        for size in (LinkBounds().max_packet_bytes, largest - 2, largest - 1, largest):
            yield Flood(f"{size} bytes", _new(size))
        yield Flood("with a topic alias", _with_alias(largest))
        pair = b"\x26" + text("k" * 300) + text("v" * 300)
        yield Flood("with user properties", _new(largest, pair * (60_000 // len(pair))))
        yield Flood("with correlation data", _new(largest, b"\x09" + text(bytes(65_000))))
        yield Flood("with a response topic", _new(largest, b"\x08" + text("t" * 65_000)))
        yield Flood("of use for a second", _new(largest, b"\x02\0\0\0\1"))
    if largest > LARGEST:
        yield Flood("16 MiB", (_old if level == 4 else _new)(1 << 24), 4)


def _send(attacker: Attacker, flood: Flood) -> None:
    """Until the broker has taken all of it."""
    for number in range(1, flood.total + 1):
        attacker.send(flood.make(number))
    attacker.send(PING)
    while attacker.receive().kind != PINGRESP:
        pass


def _is_answered(alice: Device) -> bool:
    call = alice.client.invite(["bob"])
    alice.heard.wait("invitee_accepted", invite_id=call.invite_id)
    return True


@pytest.mark.parametrize("level", [4, 5], ids=["mqtt 3.1.1", "mqtt 5"])
@pytest.mark.parametrize(
    ("left_out", "largest"), [((), LARGEST), (("max_packet_size",), 100_000)], ids=["as written", "without a maximum"]
)
def test_messages_that_are_too_large_silence_no_worker(
    tmp_path: Path, level: int, left_out: tuple[str, ...], largest: int
) -> None:
    ring = WorkerRing(tmp_path)
    ring.mosquitto.left_out = left_out
    with ring, Attacker.tcp(ring.port) as mallory:
        alice, bob = ring.device("alice"), ring.device("bob")
        bob.heard.react("receive_new_invitation", lambda event: bob.client.accept(event.invite_id))
        assert _is_answered(alice)
        mallory.send(connect_packet("mallory", PASSWORD, level=level))
        assert mallory.expect(CONNACK).body[1] == 0
        for flood in _floods(level, largest):
            before = ring.server.counts()["link_oversize"]
            _send(mallory, flood)
            assert _is_answered(alice), flood.name
            passed = ring.server.counts()["link_oversize"] - before
            print(f"{flood.total} messages {flood.name}: {passed} read past, and the next call is answered")  # noqa: T201
        counts = ring.server.counts()
        assert counts["link_oversize"] > LinkBounds().receive_max
        assert counts["link_reconnects"] == 0
