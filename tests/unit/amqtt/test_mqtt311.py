"""The codec: against paho's and aMQTT's, over every way to cut a stream, and against any bytes."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import paho.mqtt.client as paho
import pytest
from amqtt.adapters import BufferReader
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from ringline_broker.bindings.amqtt import mqtt311
from ringline_broker.bindings.amqtt.mqtt311 import Connect, ConnectRefused, Packet, PacketReader, Publish
from ringline_broker.bindings.framing import Malformed, puback
from tests.attacks.raw_mqtt import (
    connect_packet,
    length,
    packet,
    puback_packet,
    publish_packet,
    subscribe_packet,
    text,
    unsubscribe_packet,
)
from tests.support.bound import BOUND_S

LIMIT: Final = 32_768

letters = st.characters(codec="utf-8", exclude_characters="\0")
names = st.text(letters, max_size=100)
filters = st.text(letters, min_size=1, max_size=100)
topics = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=100)
packet_ids = st.integers(1, 65_535)
payloads = st.binary(max_size=300)

READERS: Final[dict[int, Callable[[Packet], object]]] = {
    1: mqtt311.read_connect,
    3: mqtt311.read_publish,
    4: mqtt311.read_puback,
    8: mqtt311.read_subscribe,
    10: mqtt311.read_unsubscribe,
}


def _cut(data: bytes) -> Packet:
    (one,) = PacketReader(LIMIT).feed(data)
    mqtt311.check_flags(one)
    return one


def _theirs(kind: Any, data: bytes) -> Any:
    """Read by aMQTT."""

    async def read() -> Any:
        reader = BufferReader(data)
        header = await MQTTFixedHeader.from_stream(reader)
        return await kind.from_stream(reader, fixed_header=header)

    return asyncio.run(read())


# What devices send.


@given(
    st.none() | names,
    st.none() | st.binary(max_size=100).map(lambda raw: raw.hex()),
    names,
    st.booleans(),
    st.integers(0, 65_535),
    st.none() | st.tuples(topics, payloads),
)
def test_a_connect_is_read(
    user: str | None,
    password: str | None,
    client_id: str,
    clean: bool,
    keep_alive: int,
    will: tuple[str, bytes] | None,
) -> None:
    if user is None:
        password = None
    if not client_id:
        clean = True
    raw = connect_packet(user, password, client_id, clean=clean, keep_alive=keep_alive, will=will)
    word = None if password is None else password.encode()
    wanted = Connect(client_id, clean, keep_alive, user, word, will is not None)
    assert mqtt311.read_connect(_cut(raw)) == wanted


@given(topics, payloads, st.integers(0, 1), packet_ids, st.booleans())
def test_a_publish_of_theirs_is_read(topic: str, payload: bytes, qos: int, packet_id: int, retain: bool) -> None:
    number = packet_id if qos else None
    raw = PublishPacket.build(topic, payload, number, bool(qos), qos, retain).to_bytes()
    assert mqtt311.read_publish(_cut(bytes(raw))) == Publish(topic, payload, qos, number)


@given(packet_ids, st.lists(st.tuples(filters, st.integers(0, 2)), min_size=1, max_size=10))
def test_subscribes_of_theirs_are_read(packet_id: int, wanted: list[tuple[str, int]]) -> None:
    raw = bytes(SubscribePacket.build(wanted, packet_id).to_bytes())
    assert mqtt311.read_subscribe(_cut(raw)) == (packet_id, wanted)
    only = [name for name, _ in wanted]
    raw = bytes(UnsubscribePacket.build(only, packet_id).to_bytes())
    assert mqtt311.read_unsubscribe(_cut(raw)) == (packet_id, only)
    raw = bytes(PubackPacket.build(packet_id).to_bytes())
    assert mqtt311.read_puback(_cut(raw)) == packet_id


# What the broker sends.


@given(topics, payloads, st.none() | packet_ids)
def test_they_read_a_publish(topic: str, payload: bytes, packet_id: int | None) -> None:
    theirs = _theirs(PublishPacket, mqtt311.publish(topic.encode(), payload, packet_id))
    assert (theirs.topic_name, theirs.data, theirs.qos) == (topic, payload, int(packet_id is not None))
    assert packet_id is None or theirs.packet_id == packet_id
    assert not theirs.retain_flag
    assert not theirs.dup_flag


@given(packet_ids, st.lists(st.sampled_from([0, 1, 0x80]), min_size=1, max_size=200), st.integers(0, 5))
def test_they_read_what_acknowledges(packet_id: int, codes: list[int], code: int) -> None:
    assert _theirs(PubackPacket, puback(packet_id)).packet_id == packet_id
    assert _theirs(UnsubackPacket, mqtt311.unsuback(packet_id)).variable_header.packet_id == packet_id
    suback = _theirs(SubackPacket, mqtt311.suback(packet_id, codes))
    assert (suback.variable_header.packet_id, suback.payload.return_codes) == (packet_id, codes)
    connack = _theirs(ConnackPacket, mqtt311.connack(code))
    assert (connack.return_code, connack.session_parent) == (code, 0)


def test_paho_and_we_understand_each_other() -> None:
    heard: list[tuple[str, bytes, int]] = []
    told: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, "phone", clean_session=True)
    client.username_pw_set("alice", "pass word")
    client.on_connect = lambda *_: told.append("connected")
    client.on_subscribe = lambda *_: told.append("subscribed")
    client.on_unsubscribe = lambda *_: told.append("unsubscribed")
    client.on_publish = lambda *_: told.append("published")
    client.on_message = lambda _c, _d, message: heard.append((message.topic, bytes(message.payload), message.qos))
    reader = PacketReader(LIMIT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client.connect("127.0.0.1", server.getsockname()[1], keepalive=7)
        raw, _ = server.accept()
    with raw:
        raw.settimeout(BOUND_S)

        def ask() -> Packet:
            """What paho sends next."""
            while True:
                for one in reader.feed(raw.recv(1)):
                    mqtt311.check_flags(one)
                    return one

        def tell(data: bytes, count: int) -> None:
            raw.sendall(data)
            while len(told) + len(heard) < count:
                assert client.loop(BOUND_S) == paho.MQTT_ERR_SUCCESS

        assert mqtt311.read_connect(ask()) == Connect("phone", True, 7, "alice", b"pass word", False)
        tell(mqtt311.connack(0), 1)
        client.subscribe([("a/b", 1), ("c", 0)])
        packet_id, wanted = mqtt311.read_subscribe(ask())
        assert wanted == [("a/b", 1), ("c", 0)]
        tell(mqtt311.suback(packet_id, [1, 0]), 2)
        client.publish("a/é", b"\0\1", qos=1)
        message = mqtt311.read_publish(ask())
        assert (message.topic, message.payload, message.qos) == ("a/é", b"\0\1", 1)
        assert message.packet_id is not None
        tell(puback(message.packet_id), 3)
        tell(mqtt311.publish(b"a/b", b"x" * 20_000, 65_535), 4)
        assert mqtt311.read_puback(ask()) == 65_535
        tell(mqtt311.publish(b"c", b"", None), 5)
        client.unsubscribe("a/b")
        packet_id, names_ = mqtt311.read_unsubscribe(ask())
        assert names_ == ["a/b"]
        tell(mqtt311.unsuback(packet_id), 6)
        client.disconnect()
        assert ask().kind == mqtt311.PacketType.DISCONNECT
    assert told == ["connected", "subscribed", "published", "unsubscribed"]
    assert heard == [("a/b", b"x" * 20_000, 1), ("c", b"", 0)]


# Streams.


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=400)), max_size=8), st.data())
def test_a_stream_gives_the_same_packets_however_cut(packets: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(packet(first, body) for first, body in packets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    reader = PacketReader(LIMIT)
    came = [(one.kind << 4 | one.flags, one.body) for piece in pieces for one in reader.feed(piece)]
    assert came == packets
    assert not reader.is_inside


def test_one_packet_can_be_taken_and_the_rest_later() -> None:
    reader = PacketReader(LIMIT)
    for one in reader.feed(packet(0x10, b"a") + packet(0xC0, b"") + b"\x30"):
        assert one.kind == 1
        break
    assert reader.is_inside
    assert [one.kind for one in reader.feed(b"")] == [12]
    assert [one.body for one in reader.feed(b"\x02xy")] == [b"xy"]
    assert not reader.is_inside


@given(st.integers(0, 400_000_000))
def test_a_length_over_the_limit_is_refused_before_its_bytes_come(number: int) -> None:
    if number > 268_435_455:
        with pytest.raises(Malformed, match="four bytes"):
            list(PacketReader(LIMIT).feed(b"\x30" + length(number)))
    elif number > LIMIT:
        with pytest.raises(Malformed, match=f"{number} bytes; the limit is {LIMIT}"):
            list(PacketReader(LIMIT).feed(b"\x30" + length(number)))
    elif number:
        assert list(PacketReader(LIMIT).feed(b"\x30" + length(number))) == []


def test_a_bad_packet_does_not_swallow_those_before_it() -> None:
    reader = PacketReader(10)
    came = reader.feed(packet(0xC0, b"") + packet(0x30, bytes(11)))
    assert next(came).kind == 12
    with pytest.raises(Malformed):
        next(came)


def _read_all(stream: bytes) -> None:
    with suppress(Malformed, ConnectRefused):
        for one in PacketReader(LIMIT).feed(stream):
            mqtt311.check_flags(one)
            if one.kind in READERS:
                READERS[one.kind](one)


@given(st.binary(max_size=200))
@example(b"\x10\x00")
@example(b"\x82\x02\x00\x01")
@example(b"\x30\x02\xff\xff")
def test_any_bytes_are_read_or_refused(stream: bytes) -> None:
    _read_all(stream)


@given(
    st.sampled_from(
        [
            connect_packet("alice", "password", "phone", will=("a/b", b"will")),
            publish_packet("a/b", b"payload", 1, 7),
            subscribe_packet(7, ("a/b", 1), ("c", 0)),
            unsubscribe_packet(7, "a/b", "c"),
            puback_packet(7),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
    st.integers(0, 60),
)
def test_any_damage_is_read_or_refused(good: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(good)
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    _read_all(bytes(damaged))
    _read_all(packet(damaged[0], bytes(damaged[2 : 2 + cut])))


@pytest.mark.parametrize("field", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\0"])
def test_text_is_utf_8_without_surrogates_and_without_null(field: bytes) -> None:
    for raw in (packet(0x30, text(field)), packet(0xA2, b"\0\1" + text(field))):
        one = _cut(raw)
        with pytest.raises(Malformed, match=r"1\.5\.3"):
            READERS[one.kind](one)
