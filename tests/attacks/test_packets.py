"""B12: packets that break the standard, or ask for what this broker does not offer."""

import struct
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.attacks.raw_mqtt import (
    CONNACK,
    GOODBYE,
    PING,
    SUBACK,
    Attacker,
    connect_packet,
    device,
    length,
    packet,
    password_of,
    puback_packet,
    publish_packet,
    subscribe_packet,
    text,
    unsubscribe_packet,
)
from tests.attacks.targets import TOPICS, Ours, Stock, Target, next_request
from tests.support.bound import BOUND_S

ALICE, BOB = TOPICS.requests("alice"), TOPICS.events("bob")
GOOD = connect_packet("alice", password_of("alice"), "phone")


def _connect(flags: int, *fields: bytes, name: str = "MQTT", level: int = 4) -> bytes:
    return packet(0x10, text(name) + bytes([level, flags]) + b"\0\x3c" + b"".join(fields))


FIRST = {
    "garbage": b"\x00\x01\x02\x03" * 8,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("160301020001000200"),
    "a ping": PING,
    "a publish": publish_packet(ALICE, b"", 1),
    "a subscribe": subscribe_packet(1, (BOB, 1)),
    "a disconnect": GOODBYE,
    "another protocol": _connect(2, text("phone"), name="AMQP"),
    "a protocol name that is not UTF-8": _connect(2, text("phone"), name="MQ").replace(b"MQ", b"\xff\xfe"),
    "flags of its fixed header": b"\x11" + GOOD[1:],
    "the reserved flag": _connect(0xC3, text("phone"), text("alice"), text(password_of("alice"))),
    "a password without a user": _connect(0x42, text("phone"), text("password")),
    "a will's QoS without a will": _connect(0x0A, text("phone")),
    "a will's retain without a will": _connect(0x22, text("phone")),
    "a will at QoS 3": _connect(0x1E, text("phone"), text("a"), text("b")),
    "a will that is not there": _connect(0x06, text("phone")),
    "fields beyond its end": GOOD[:1] + length(len(GOOD) - 12) + GOOD[2:-10],
    "bytes after its fields": packet(0x10, GOOD[2:] + b"x"),
    "an empty body": packet(0x10, b""),
    "U+0000 in the client id": _connect(2, text("a\0b")),
    "half a surrogate in the user": _connect(0x82, text("phone"), text(b"\xed\xa0\x80")),
    "a length of five bytes": b"\x10\xff\xff\xff\xff\x01",
}

LATER = {
    "a second connect": GOOD,
    "a connack": bytes.fromhex("20020000"),
    "type 0": b"\x00\x00",
    "type 15": b"\xf0\x00",
    "a publish at QoS 3": packet(0x36, text(ALICE) + b"\0\1x"),
    "a publish at QoS 2": publish_packet(ALICE, b"x", 2),
    "a publish with DUP at QoS 0": packet(0x38, text(ALICE) + b"x"),
    "a publish with packet id 0": publish_packet(ALICE, b"x", 1, 0),
    "a publish without a packet id": packet(0x32, text(ALICE)),
    "a publish without a topic": publish_packet("", b"x"),
    "a publish on a wildcard": publish_packet("ringline/#", b"x"),
    "a publish on a topic with U+0000": publish_packet("a\0b", b"x"),
    "a publish on a topic that is not UTF-8": packet(0x30, text(b"\xc3\x28") + b"x"),
    "a topic longer than its packet": packet(0x30, b"\xff\xff" + b"x" * 20),
    "an empty publish": packet(0x30, b""),
    "a subscribe with other flags": packet(0x80, b"\0\1" + text(BOB) + b"\1"),
    "a subscribe at QoS 3": subscribe_packet(1, (BOB, 3)),
    "a subscribe with no filter": subscribe_packet(1),
    "a subscribe with an empty filter": subscribe_packet(1, ("", 1)),
    "a subscribe with packet id 0": subscribe_packet(0, (BOB, 1)),
    "a subscribe without its QoS": packet(0x82, b"\0\1" + text(BOB)),
    "a subscribe of one byte": packet(0x82, b"\0"),
    "an unsubscribe with other flags": packet(0xA0, b"\0\1" + text(BOB)),
    "an unsubscribe with no filter": unsubscribe_packet(1),
    "an unsubscribe with an empty filter": unsubscribe_packet(1, ""),
    "a puback with packet id 0": puback_packet(0),
    "a puback of one byte": packet(0x40, b"\0"),
    "a puback of three bytes": packet(0x40, b"\0\1\0"),
    "a pubrec": packet(0x50, b"\0\1"),
    "a pubrel": packet(0x62, b"\0\1"),
    "a pubcomp": packet(0x70, b"\0\1"),
    "a ping with a body": packet(0xC0, b"x"),
    "a ping with flags": b"\xc1\x00",
    "a disconnect with flags": b"\xe1\x00",
    "a disconnect with a body": packet(0xE0, b"x"),
}

STOCK_WAITS = ("a ping", "a publish", "a subscribe", "garbage")
"""Some of those that aMQTT as it is shipped neither answers nor ends the connection for."""

STOCK_BEARS = (
    "a ping with a body",
    "a publish at QoS 3",
    "a publish on a topic with U+0000",
    "a publish with packet id 0",
    "a subscribe at QoS 3",
    "a subscribe of one byte",
    "a subscribe with no filter",
    "a subscribe with packet id 0",
    "a subscribe without its QoS",
)
"""Some of those that it goes on after."""


def _goes_on(target: Target) -> None:
    with device(target.port, "bob", BOB) as bob, device(target.port, "alice") as alice:
        alice.publish(ALICE, b"invite")
        assert next_request(target) == ("alice", b"invite")
        target.event(BOB, b"invited")
        assert bob.hears(b"invited")


@pytest.fixture(scope="module")
def ours() -> Iterator[Ours]:
    with Ours() as ours:
        yield ours


@pytest.mark.parametrize("name", FIRST)
def test_b12_no_connection_begins_with(name: str, ours: Ours) -> None:
    with Attacker.tcp(ours.port) as attacker:
        attacker.send(FIRST[name])
        assert attacker.is_ended()
    assert ours.sessions == 0
    _goes_on(ours)
    ours.wait_for_connections(0)


@pytest.mark.parametrize("name", LATER)
def test_b12_a_connection_ends_with(name: str, ours: Ours) -> None:
    with device(ours.port, "alice") as attacker:
        attacker.send(LATER[name], publish_packet(ALICE, b"after"))
        assert attacker.is_ended()
    ours.wait_for_connections(0)
    assert (ours.filters, ours.sessions) == ([], 0)
    _goes_on(ours)
    ours.wait_for_connections(0)


def test_b12_stock_goes_on_after_some_of_them() -> None:
    with Stock() as stock:
        for name in STOCK_BEARS:
            with device(stock.port, "alice") as attacker:
                attacker.send(LATER[name])
                assert not attacker.is_ended(0.2), name
        for name in STOCK_WAITS:
            with Attacker.tcp(stock.port) as attacker:
                attacker.send(FIRST[name])
                assert not attacker.is_ended(0.2), name


def test_b12_stock_grants_what_there_is_not() -> None:
    with Stock() as stock:
        with device(stock.port, "alice") as attacker:
            attacker.send(subscribe_packet(7, (TOPICS.events("alice"), 3)))
            assert attacker.expect(SUBACK).body == b"\0\7\3"
        with Attacker.tcp(stock.port) as attacker:
            fields = (text("phone"), text(BOB), text("forged"), text("alice"), text(password_of("alice")))
            attacker.send(_connect(0xDE, *fields))  # a will at QoS 3
            assert attacker.expect(CONNACK).body == b"\0\0"


def test_what_breaks_the_standard_inside_a_burst_ends_what_came_after(ours: Ours) -> None:
    with device(ours.port, "alice") as alice:
        good = [publish_packet(ALICE, b"%d" % n, 1, n) for n in (1, 2)]
        alice.send(good[0], publish_packet(ALICE, b"", 2), good[1])
        assert alice.is_ended()
    assert next_request(ours) == ("alice", b"1")
    assert next_request(ours, 0.1) is None


def test_mqtt_5_is_refused_in_its_own_words(ours: Ours) -> None:
    with Attacker.tcp(ours.port) as modern:
        modern.send(connect_packet("alice", password_of("alice"), level=5))
        assert modern.expect(CONNACK).body == b"\x00\x84\x00"
        assert modern.is_ended()


def test_a_client_of_mqtt_5_hears_why(ours: Ours) -> None:
    codes: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, "phone", protocol=paho.MQTTv5)
    client.username_pw_set("alice", password_of("alice"))
    client.on_connect = lambda _client, _data, _flags, code, _properties: codes.append(str(code))
    client.connect("127.0.0.1", ours.port)
    while not codes:
        client.loop(BOUND_S)
    client.disconnect()
    assert codes == ["Unsupported protocol version"]


@pytest.mark.parametrize(("name", "level"), [("MQIsdp", 3), ("MQTT", 3), ("MQTT", 6), ("MQTT", 0x84)])
def test_other_versions_are_refused_in_words_of_3_1_1(name: str, level: int, ours: Ours) -> None:
    with Attacker.tcp(ours.port) as old:
        old.send(_connect(0x82, text("phone"), text("alice"), name=name, level=level))
        assert old.expect(CONNACK).body == b"\x00\x01"
        assert old.is_ended()


def test_no_client_id_needs_a_clean_session(ours: Ours) -> None:
    with Attacker.tcp(ours.port) as nameless:
        assert nameless.connect("alice", clean=False) == 2
        assert nameless.is_ended()
    with Attacker.tcp(ours.port) as nameless, Attacker.tcp(ours.port) as another:
        assert [one.connect("alice") for one in (nameless, another)] == [0, 0]
        assert nameless.messages() == another.messages() == []


def test_packets_may_come_in_any_pieces_and_before_they_are_asked_for(ours: Ours) -> None:
    with Attacker.tcp(ours.port) as eager:
        asks = subscribe_packet(7, (TOPICS.events("alice"), 1)), publish_packet(ALICE, b"invite", 1, 9), PING
        packets = b"".join((GOOD, *asks))
        for byte in packets:
            eager.send(bytes([byte]))
        assert [eager.receive().body for _ in range(4)] == [b"\0\0", struct.pack("!HB", 7, 1), b"\0\x09", b""]
    assert next_request(ours) == ("alice", b"invite")
    with Attacker.tcp(ours.port) as eager:
        eager.send(packets)
        assert [eager.receive().kind for _ in range(4)] == [2, 9, 4, 13]
    assert next_request(ours) == ("alice", b"invite")


def test_what_comes_before_the_login_is_refused_is_never_taken(ours: Ours) -> None:
    with Attacker.tcp(ours.port) as eager:
        eager.send(connect_packet("alice", "a guess"), publish_packet(ALICE, b"forged", 1, 9))
        assert eager.expect(CONNACK).body == b"\0\4"
        assert eager.is_ended()
    assert next_request(ours, 0.1) is None
